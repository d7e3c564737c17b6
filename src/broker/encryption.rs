//! The connection to the broker, encrypted by our own configuration of TLS: `lapin`'s would add the authority that is named to
//! those of the system, and so believe more than it was told to.

use std::sync::Arc;

use lapin::tcp::{AMQPUriTcpExt as _, AsyncTcpStream, RustlsConnector};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, runtime};
use tokio_rustls::rustls::ClientConfig;

use super::address::BrokerAddress;
use super::transport::{Transport, kit};
use crate::domain::Failure;
use crate::tls::{self, TlsFiles, Verification, client_config};

/// How a user knows what can be set.
pub(super) const SETTINGS: tls::Settings = tls::Settings {
    authority: "ca_file in [broker]",
    identity: "client_certificate and client_key in [broker]",
    without_tls: "use the broker's AMQPS port (5671); amqp:// would be unencrypted",
};

/// What `amqps://` needs.
pub(super) fn encryption(
    address: &BrokerAddress,
    files: &TlsFiles,
) -> Result<Option<Arc<ClientConfig>>, Failure> {
    let config = || client_config(files, Verification::Name, &SETTINGS).map(Arc::new);
    address.is_encrypted().then(config).transpose()
}

/// Connects and logs in.
pub(super) async fn open(uri: AMQPUri, tls: Option<Arc<ClientConfig>>) -> lapin::Result<Connection> {
    let name = format!("salesync {}", uri.authority.userinfo.username);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let connect = async move |uri: AMQPUri, _| {
        let host = uri.authority.host.clone();
        let runtime = runtime::default_runtime()?;
        let stream = AMQPUri { scheme: AMQPScheme::AMQP, ..uri }.connect_async(&runtime).await?;
        let stream = match &tls {
            Some(tls) => stream.into_rustls(&RustlsConnector::from(Arc::clone(tls)), &host).await?,
            None => stream,
        };
        Ok(AsyncTcpStream::Plain(Transport::over(stream)))
    };
    Connection::connector(uri, kit().into(), connect, properties).await
}
