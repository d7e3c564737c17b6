//! Headless Chromium, used as a person uses it: what is pressed or filled in has a name that can be read, and what is to
//! be seen is waited for. Tests stay synchronous; the driver's runtime is in here.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use salesync::sandbox::wait_until;
use serde_json::{Value, json};
use thirtyfour::common::log::LoggingPrefsLogLevel;
use thirtyfour::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::servers::chrome_driver_url;

/// How long something may take to be seen, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(30);

/// No window, and no name but 127.0.0.1 leads anywhere: nothing outside is asked for anything.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--force-color-profile=srgb",
];

/// The height to which a picture of a whole page is cut.
const TALLEST: u32 = 4000;

/// One worker serves all tests: it passes on what the drivers say.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

/// What can be pressed, by its name: `{}`.
const PRESSED: &str = "//*[self::button or self::a or self::summary or @role='button']\
                       [normalize-space()={} or @aria-label={}]";
/// What can be filled in, by its label, which may go on after the name: `{}`.
const FILLED: &str = "//*[@id=//label[starts-with(normalize-space(), {})]/@for] | \
                      //label[starts-with(normalize-space(), {})]//*[self::input or self::select or self::textarea] | \
                      //*[(self::input or self::select or self::textarea) and @aria-label={}]";

/// What a page is looked at through: width, height, and whether it is touched.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    pub is_phone: bool,
}

pub const DESK: Screen = Screen { width: 1280, height: 800, is_phone: false };
pub const PHONE: Screen = Screen { width: 390, height: 844, is_phone: true };

/// A browser with a profile of its own. Dropping it closes it; when a test fails, what was to be seen is kept.
pub struct Browser(Option<WebDriver>);

impl Browser {
    /// Opens one.
    pub fn open() -> Self {
        Self::by(&chrome_driver_url())
    }

    /// Opens one that runs no script of any page.
    pub fn without_script() -> Self {
        let browser = Self::open();
        browser.lets_scripts_run(false);
        browser
    }

    /// Whether scripts run from here on; those of the page that is open have had their time.
    pub fn lets_scripts_run(&self, so: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": !so}));
    }

    /// Opens one by this driver.
    pub fn by(driver_url: &str) -> Self {
        let mut chrome = DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            chrome.add_arg(argument).unwrap();
        }
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            // Root is often that of a container, in which Chromium's own sandbox cannot be set up.
            chrome.add_arg("--no-sandbox").unwrap();
        }
        chrome.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let browser = Self(Some(RUNTIME.block_on(WebDriver::new(driver_url, chrome)).unwrap()));
        browser.look_through(DESK);
        browser
    }

    /// Takes this screen.
    pub fn look_through(&self, screen: Screen) {
        let Screen { width, height, is_phone } = screen;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Prefers a dark scheme, or a light one.
    pub fn prefer_dark(&self, dark: bool) {
        let scheme = json!({"name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" }});
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": [scheme]}));
    }

    /// Goes to an address, and waits until it has been loaded.
    pub fn go(&self, url: &str) {
        RUNTIME.block_on(self.driver().goto(url)).unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Presses the button, link or summary of this name.
    pub fn press(&self, name: &str) {
        self.act(name, PRESSED, &async |element| element.click().await);
    }

    /// Replaces what is in the field with this label.
    pub fn fill(&self, label: &str, text: &str) {
        self.act(label, FILLED, &async |element| {
            element.clear().await?;
            element.send_keys(text).await
        });
    }

    /// Chooses in the selection with this label.
    pub fn choose(&self, label: &str, option: &str) {
        let option = format!("./option[normalize-space()={}]", quoted(option));
        self.act(label, FILLED, &async |element| {
            element.find(By::XPath(option.as_str())).await?.click().await
        });
    }

    /// Types into whatever has the focus.
    pub fn keys(&self, keys: impl Into<TypingData>) {
        RUNTIME.block_on(self.driver().action_chain().send_keys(keys).perform()).unwrap();
    }

    /// Waits until the page says this.
    pub fn sees(&self, words: &str) {
        self.until(words, || self.text("body").contains(words).then_some(()));
    }

    /// Waits until the page no longer says this.
    pub fn sees_no_more(&self, words: &str) {
        self.until(&format!("no {words:?}"), || (!self.text("body").contains(words)).then_some(()));
    }

    /// Waits until one of these elements says this, and says what all of it is.
    pub fn sees_in(&self, css: &str, words: &str) -> String {
        self.until(&format!("{words:?} in {css}"), || {
            self.texts(css).into_iter().find(|text| text.contains(words))
        })
    }

    /// What the first of these elements says; nothing if there is none.
    pub fn text(&self, css: &str) -> String {
        self.texts(css).into_iter().next().unwrap_or_default()
    }

    /// What these elements say as they are shown. None of them while the page is being replaced.
    pub fn texts(&self, css: &str) -> Vec<String> {
        let texts = RUNTIME.block_on(async {
            let mut texts = Vec::new();
            for element in self.driver().find_all(By::Css(css)).await? {
                texts.push(element.text().await?);
            }
            Ok::<_, WebDriverError>(texts)
        });
        texts.unwrap_or_default()
    }

    /// The path and the query of the address.
    pub fn path(&self) -> String {
        let url = RUNTIME.block_on(self.driver().current_url()).unwrap();
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// What this script returns.
    pub fn script(&self, script: &str) -> Value {
        self.call(script, &[])
    }

    /// The same with `arguments`.
    pub fn call(&self, script: &str, arguments: &[Value]) -> Value {
        let returned = RUNTIME.block_on(self.driver().execute(script, arguments));
        returned.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// What the browser's own protocol answers.
    pub fn devtools(&self, method: &str, parameters: &Value) -> Value {
        let answer = RUNTIME.block_on(self.driver().cdp().send_raw(method, parameters));
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// What the browser has complained of since it was last asked: scripts that failed, policies broken, files missing.
    pub fn complaints(&self) -> Vec<String> {
        let log = RUNTIME.block_on(self.driver().browser_log()).unwrap();
        log.into_iter().map(|entry| format!("{}: {}", entry.level, entry.message)).collect()
    }

    /// Keeps what is to be seen in `target/page/{name}.png`.
    pub fn keep(&self, name: &str) -> PathBuf {
        kept(name, &RUNTIME.block_on(self.driver().screenshot_as_png()).unwrap())
    }

    /// The same with all of the page that is below the screen.
    pub fn keep_all(&self, name: &str, screen: Screen) {
        let height = self.script("return document.documentElement.scrollHeight").as_u64().unwrap();
        let height = u32::try_from(height).unwrap().clamp(screen.height, TALLEST);
        let clip = json!({"x": 0, "y": 0, "width": screen.width, "height": height, "scale": 1});
        // Nobody waits for small files here, but for pictures of everything.
        let how = json!({"captureBeyondViewport": true, "optimizeForSpeed": true, "clip": clip});
        let picture = self.devtools("Page.captureScreenshot", &how);
        kept(name, &Base64::decode_vec(picture["data"].as_str().unwrap()).unwrap());
    }

    /// Waits until `look` finds something.
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let found = wait_until(LIMIT, what, || Ok(look()));
        found.unwrap_or_else(|error| panic!("{error}; at {} it says\n{}", self.path(), self.text("body")))
    }

    /// Does this to the element of that name, as soon as there is one that lets it be done.
    fn act(&self, name: &str, path: &str, act: &impl AsyncFn(&WebElement) -> Result<(), WebDriverError>) {
        let path = path.replace("{}", &quoted(name));
        let try_once = async || {
            for element in self.driver().find_all(By::XPath(path.as_str())).await? {
                if element.is_displayed().await? {
                    return act(&element).await.map(Some);
                }
            }
            Ok(None)
        };
        self.until(name, || RUNTIME.block_on(try_once()).ok().flatten());
    }

    fn driver(&self) -> &WebDriver {
        self.0.as_ref().unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if thread::panicking() {
            let test = thread::current().name().unwrap_or("unnamed").replace("::", "-");
            let name = format!("failed-{test}{}", self.path().replace(['/', '?', '&'], "-"));
            eprintln!("what was to be seen: {}", self.keep(&name).display());
        }
        let closed = self.0.take().map(|driver| RUNTIME.block_on(driver.quit()));
        assert!(thread::panicking() || matches!(closed, Some(Ok(()))), "{closed:?}");
    }
}

/// Writes a picture, and says where it is.
fn kept(name: &str, picture: &[u8]) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/page/{name}.png"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, picture).unwrap();
    file
}

/// `text` as `XPath` wants it.
fn quoted(text: &str) -> String {
    assert!(!text.contains('"'), "XPath 1.0 cannot escape {text}");
    format!("\"{text}\"")
}

/// What a page is made of, seen by the tests of the harness itself.
const PAGE: &str = "data:text/html,<title>t</title><h1>Sales</h1><label for=q>Quantity in kg</label><input id=q>\
    <label>Region <select><option>East<option>West</select></label>\
    <button onclick=\"this.disabled=true;setTimeout(()=>{document.querySelector('p').textContent='saved '+q.value},50)\">\
    Save</button><p>nothing</p><script>document.querySelector('h1').textContent='Scripted'</script>";

#[test]
fn what_is_filled_in_and_pressed_by_its_name_is_seen_as_soon_as_it_is_there() {
    let browser = Browser::open();
    browser.go(PAGE);
    browser.fill("Quantity", "1");
    browser.fill("Quantity", "12");
    browser.choose("Region", "West");
    browser.press("Save");
    assert_eq!(browser.sees_in("p", "saved"), "saved 12");
    assert_eq!(browser.script("return document.querySelector('select').value"), "West");
    assert_eq!(browser.text("h1"), "Scripted");
    browser.fill("Quantity", "3");
    browser.keys(Key::Backspace + "4");
    assert_eq!(browser.script("return document.activeElement.value"), "4");
    browser.sees("saved 12");
    browser.script("setTimeout(() => document.querySelector('p').remove(), 20)");
    browser.sees_no_more("saved");
}

#[test]
fn a_browser_says_what_it_complains_of() {
    let browser = Browser::open();
    browser.go("data:text/html,<h1>t</h1>");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.go("data:text/html,<h1>t</h1><script>nothing.of_the_kind()</script>");
    let complaint = browser.until("a complaint", || browser.complaints().into_iter().next());
    assert!(complaint.contains("nothing is not defined"), "{complaint}");
}

#[test]
fn a_browser_can_be_dark_and_a_phone() {
    let browser = Browser::open();
    browser.go("data:text/html,<meta name=viewport content=width=device-width><h1>t</h1>");
    let looks = "return [innerWidth, innerHeight, matchMedia('(prefers-color-scheme: dark)').matches]";
    assert_eq!(browser.script(looks), json!([1280, 800, false]));
    browser.look_through(PHONE);
    browser.prefer_dark(true);
    assert_eq!(browser.script(looks), json!([390, 844, true]));
}

#[test]
fn a_browser_without_script_shows_the_page_as_it_came() {
    let browser = Browser::without_script();
    browser.go(PAGE);
    assert_eq!(browser.text("h1"), "Sales");
}

#[test]
fn a_browser_reaches_nothing_outside() {
    let browser = Browser::open();
    let asked = RUNTIME.block_on(browser.driver().goto("http://example.org/"));
    assert!(asked.unwrap_err().to_string().contains("ERR_NAME_NOT_RESOLVED"));
}
