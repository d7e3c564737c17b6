//! A member's rows, as they come out of its compression: no more of them than the manifest declares, and no less.

use std::io::{self, BufRead, Read as _, Write};

use zstd::stream::read::Decoder;

use super::defect::{Defect, PourError};
use super::tally::Tally;
use crate::domain::{Member, Totals};

/// Larger windows are refused, so that a hostile frame cannot ask for much memory. No level this
/// program writes (1 to 19) needs more than 8 MiB.
const WINDOW_LOG_LIMIT: u32 = 23;

/// A member while it is decompressed.
pub(super) struct RawMember<'a, R> {
    /// Decodes one frame.
    source: Decoder<'static, R>,
    member: &'a Member,
    /// Raw bytes still to come.
    left: u64,
}

impl<'a, R: BufRead> RawMember<'a, R> {
    /// Before its first byte; `compressed` has the member's bytes and no others.
    pub(super) fn new(compressed: R, member: &'a Member) -> Result<Self, PourError> {
        let mut source = Decoder::with_buffer(compressed).map_err(PourError::Source)?.single_frame();
        source.window_log_max(WINDOW_LOG_LIMIT).map_err(PourError::Source)?;
        Ok(Self { source, member, left: member.raw_bytes })
    }

    /// Reads the header line, which must be this.
    pub(super) fn expect(&mut self, line: &[u8]) -> Result<(), PourError> {
        let mut found = vec![0; line.len()];
        let mut filled = 0;
        while filled < found.len() {
            match self.read(&mut found[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        if found != line {
            return Err(Defect::HeaderLineDiffers(self.member.name.clone()).into());
        }
        Ok(())
    }

    /// Passes the rows on, and compares what they add up to with the manifest.
    pub(super) fn rows(&mut self, mut tally: Tally, sink: &mut impl Write) -> Result<Totals, PourError> {
        let name = &self.member.name.clone();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = self.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            let fed = tally.feed(&buffer[..count]);
            fed.map_err(|why| Defect::RowMalformed(name.clone(), tally.rows() + 1, why))?;
            sink.write_all(&buffer[..count]).map_err(PourError::Sink)?;
        }
        tally.finish().map_err(|why| Defect::RowMalformed(name.clone(), tally.rows() + 1, why))?;
        check_tally(self.member, &tally)?;
        Ok(tally.totals())
    }

    /// A member is one frame, and nothing hides behind it.
    pub(super) fn end(self) -> Result<(), PourError> {
        let mut rest = self.source.finish();
        if rest.fill_buf().map_err(PourError::Source)?.is_empty() {
            return Ok(());
        }
        let why = "something follows its frame".to_owned();
        Err(Defect::Compression(self.member.name.clone(), why).into())
    }

    /// Never gives more than the declared size, and at the end not less either.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PourError> {
        let (name, declared) = (&self.member.name, self.member.raw_bytes);
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(_) => PourError::Source(error),
            None => Defect::Compression(name.clone(), error.to_string()).into(),
        };
        let count = self.source.read(buffer).map_err(failed)?;
        let differs = || Defect::RawSizeDiffers(name.clone(), declared);
        self.left = self.left.checked_sub(count as u64).ok_or_else(differs)?;
        if count == 0 && !buffer.is_empty() && self.left > 0 { Err(differs().into()) } else { Ok(count) }
    }
}

fn check_tally(member: &Member, tally: &Tally) -> Result<(), Defect> {
    let name = member.name.clone();
    if tally.rows() != member.rows {
        return Err(Defect::RowsDiffer { member: name, declared: member.rows, found: tally.rows() });
    }
    for (column, found) in tally.totals() {
        match member.totals.get(&column) {
            Some(declared) if *declared == found => {}
            declared => {
                let declared = declared.map(|total| total.sum.clone()).unwrap_or_default();
                return Err(Defect::TotalDiffers { member: name, column, declared, found: found.sum });
            }
        }
    }
    Ok(())
}
