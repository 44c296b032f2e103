//! A WebDriver client (W3C WebDriver 2), blocking, as much of it as we use. The HTTP client is the one that the test runner
//! of wasm-bindgen brings along, so it costs nothing to build.

#[cfg(unix)]
use std::os::unix::process::CommandExt;
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Browser, Engine};
use crate::system::is_root;

/// How long a driver may take until it answers.
const STARTING: Duration = Duration::from_secs(30);

/// How long it may take over a command, and over one that waits for a script. Browsers hang at their start now and then.
const ANSWERING: Duration = Duration::from_secs(120);
const WAITING: Duration = Duration::from_secs(700);

/// The key under which WebDriver wraps an element (section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running driver; it ends with this value.
pub struct Driver {
    pub browser: Browser,
    child: Child,
    /// What WebKit shows itself on.
    _display: Option<Display>,
    address: String,
    agent: ureq::Agent,
}

/// An X server without a screen; it ends with this value.
struct Display {
    child: Child,
    name: String,
}

/// An element of the page, as the driver names it.
#[derive(Debug, Clone)]
pub struct Element(String);

impl Driver {
    /// Starts the browser's driver on a free port.
    pub fn start(browser: &Browser) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = Command::new(&browser.driver);
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        command.process_group(0);
        let display = match browser.engine {
            Engine::Webkit => {
                let display = Display::start()?;
                command.env("DISPLAY", &display.name);
                if is_root() {
                    command.env("WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS", "1");
                }
                Some(display)
            }
            Engine::Chromium | Engine::Firefox => None,
        };
        let child = command.spawn().with_context(|| format!("could not start {}", browser.driver.display()))?;
        let configuration = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWERING));
        let driver = Self {
            browser: browser.clone(),
            child,
            _display: display,
            address: format!("http://127.0.0.1:{port}"),
            agent: configuration.build().into(),
        };
        let start = Instant::now();
        while driver.get("/status").is_err() {
            if start.elapsed() > STARTING {
                bail!("{} does not answer", browser.driver.display());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(driver)
    }

    /// The number of its process, under which the browser's run.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Opens a session and returns its name.
    pub fn open(&self, capabilities: Value) -> Result<String> {
        let answer = self.post("/session", &json!({ "capabilities": { "alwaysMatch": capabilities } }))?;
        Ok(answer["sessionId"].as_str().context("the driver opened no session")?.to_owned())
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.agent.post(format!("{}{path}", self.address));
        let patience = if path.ends_with("/execute/async") { WAITING } else { ANSWERING };
        unwrap(path, request.config().timeout_global(Some(patience)).build().send_json(body))
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        unwrap(path, self.agent.get(format!("{}{path}", self.address)).call())
    }

    pub fn delete(&self, path: &str) -> Result<Value> {
        unwrap(path, self.agent.delete(format!("{}{path}", self.address)).call())
    }
}

impl Display {
    fn start() -> Result<Self> {
        let mut child = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("could not start Xvfb")?;
        let mut name = String::new();
        BufReader::new(child.stdout.take().context("Xvfb has no output")?).read_line(&mut name)?;
        Ok(Self { child, name: format!(":{}", name.trim()) })
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // With the browsers that it started: one that hangs would take its processor from all that follow.
        #[cfg(unix)]
        drop(
            Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).stderr(Stdio::null()).status(),
        );
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Element {
    pub fn from_value(value: &Value) -> Result<Self> {
        Ok(Self(value[ELEMENT].as_str().context("the driver named no element")?.to_owned()))
    }

    /// The name in the driver's addresses.
    pub fn id(&self) -> &str {
        &self.0
    }
}

/// The value of an answer, or the driver's own message.
fn unwrap(path: &str, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value> {
    let mut response = response.with_context(|| format!("the browser's driver did not answer {path}"))?;
    let mut answer: Value = response
        .body_mut()
        .with_config()
        .limit(256 << 20)
        .read_json()
        .with_context(|| format!("the browser's driver did not answer {path} in JSON"))?;
    let value = answer["value"].take();
    if response.status().is_success() {
        return Ok(value);
    }
    let message = value["message"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
    bail!("{}: {message}", value["error"].as_str().unwrap_or("webdriver error"))
}
