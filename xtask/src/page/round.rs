//! The tests of one engine: two rows of them side by side, each with a driver of its own, and a third of those that wait for the clock. A test
//! that did not pass runs once more, in a browser of its own, and where it passes then the sum names it: browsers stumble on a busy machine,
//! but what the page does wrong it does again.

use std::{
    collections::VecDeque,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use anyhow::{Error, Result, bail};

use super::{Test, Visit, ensure_that};
use crate::{
    browser::{Browser, Driver, Engine, Session},
    proofs::Proof,
    tally::Tally,
    workspace::Workspace,
};

/// How many tests run side by side, beside one of those that wait for the clock.
const WINDOWS: usize = 2;

/// Where the tests run, and what they may need.
pub struct Round<'a> {
    pub browser: &'a Browser,
    /// The site's, without a slash at the end.
    pub address: String,
    pub workspace: &'a Workspace,
    pub site: &'a Path,
    pub screenshots: Option<&'a Path>,
    /// Whether `../shared/reference` is there.
    pub reference: bool,
    pub cases: &'a Path,
}

/// Those that wait for a window.
#[derive(Default)]
struct Waiting {
    tests: Mutex<VecDeque<Test>>,
    /// Those that wait for the clock, beside the others.
    patient: Mutex<VecDeque<Test>>,
    tally: Mutex<Tally>,
}

impl Round<'_> {
    /// Runs all of them.
    pub fn run(&self, tests: impl Iterator<Item = Test>) -> Tally {
        let (patient, others) = tests.partition(|test| test.patient);
        let waiting = Waiting { tests: Mutex::new(others), patient: Mutex::new(patient), tally: Mutex::default() };
        let outcome = thread::scope(|scope| {
            let windows: Vec<_> = (0..WINDOWS)
                .map(|_| scope.spawn(|| self.work(&waiting, &[&waiting.tests, &waiting.patient])))
                .collect();
            let beside = scope.spawn(|| self.work(&waiting, &[&waiting.patient]));
            windows
                .into_iter()
                .chain([beside])
                .try_for_each(|window| window.join().unwrap_or_else(|_| bail!("a row of tests panicked")))
        });
        let mut tally = waiting.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = outcome {
            tally.fail(format!("the page in {:?}: {error:#}", self.browser.engine));
        }
        tally
    }

    /// Runs tests of these queues one after the other until none waits, with a driver that gives way to another where a test did not pass.
    fn work(&self, waiting: &Waiting, queues: &[&Mutex<VecDeque<Test>>]) -> Result<()> {
        let next = || queues.iter().find_map(|queue| queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front());
        let mut test = next();
        while test.is_some() {
            let driver = self.driver()?;
            let mut window = None;
            while let Some(here) = test {
                let name = match self.browser.engine {
                    Engine::Chromium => here.name.to_owned(),
                    other => format!("{} in {other:?}", here.name),
                };
                let (tally, is_sound) = match self.without(&here, &name) {
                    Some(tally) => (tally, true),
                    None => self.run_one(&driver, &mut window, &here, &name),
                };
                waiting.tally.lock().unwrap_or_else(PoisonError::into_inner).add(tally);
                test = next();
                if !is_sound {
                    break;
                }
            }
        }
        Ok(())
    }

    /// One that answers; the second that is started, if need be.
    fn driver(&self) -> Result<Driver> {
        Driver::start(self.browser).or_else(|_| Driver::start(self.browser))
    }

    /// What is to be counted of a test that cannot run here.
    fn without(&self, test: &Test, name: &str) -> Option<Tally> {
        let mut tally = Tally::default();
        if let Some(case) = test.case.filter(|case| !self.cases.join(case).is_dir()) {
            println!("needs-case: {case} ({name})");
            tally.ignored += 1;
            tally.without_case.push(name.to_owned());
            return Some(tally);
        }
        if let Some(model) = test.published.filter(|model| !self.site.join("models").join(model).is_dir()) {
            if is_required("VITRINE_REQUIRE_PUBLISHED") {
                println!("test {name} ... FAILED");
                tally.fail(format!("{name}\n    {model} was not fetched (`cargo xtask models {model}`), and VITRINE_REQUIRE_PUBLISHED asks for it"));
            } else {
                println!("needs-published: {model} ({name})");
                tally.without_published.push(format!("{name}: {model}"));
                tally.ignored += 1;
            }
            return Some(tally);
        }
        if test.reference && !self.reference {
            if is_required("VITRINE_REQUIRE_REFERENCE") {
                println!("test {name} ... FAILED");
                tally.fail(format!(
                    "{name}\n    ../shared/reference is absent, and VITRINE_REQUIRE_REFERENCE asks for it"
                ));
            } else {
                println!("needs-reference: {name}");
                tally.without_reference.push(name.to_owned());
                tally.ignored += 1;
            }
            return Some(tally);
        }
        None
    }

    /// Runs one test, says how it went, and counts it: in `window` where there is one, and it may leave a fresh one there. The second value says
    /// whether the driver can be gone on with.
    fn run_one<'driver>(
        &self,
        driver: &'driver Driver,
        window: &mut Option<Session<'driver>>,
        test: &Test,
        name: &str,
    ) -> (Tally, bool) {
        let start = Instant::now();
        let first = self.attempt(driver, window, test, name);
        let (outcome, stumbled) = match first {
            Ok(proofs) => (Ok(proofs), None),
            Err(error) => {
                println!("test {name}: {error:#}; once more");
                let again = self.driver().and_then(|own| self.attempt(&own, &mut None, test, name));
                (again, Some(error))
            }
        };
        (counted(name, outcome, stumbled.as_ref(), start), stumbled.is_none())
    }

    /// Runs one test in a window that is as good as one of a fresh profile. In Firefox, which takes longer to open a window than for most tests,
    /// one that passed leaves its own to the next.
    fn attempt<'driver>(
        &self,
        driver: &'driver Driver,
        window: &mut Option<Session<'driver>>,
        test: &Test,
        name: &str,
    ) -> Result<Vec<Proof>> {
        let browser = if test.whole { self.browser.whole() } else { self.browser.clone() };
        let session = window.take().map_or_else(|| Session::open(driver, &browser, test.gpu), Ok)?;
        let (address, root) = (self.address.clone(), self.workspace.root.as_path());
        let Self { workspace, site, screenshots, .. } = *self;
        let proofs = Mutex::default();
        let here = Visit { session: &session, address, root, workspace, site, screenshots, test: test.name, proofs };
        visit(test, name, &here)?;
        let proofs = here.proofs.into_inner().unwrap_or_else(PoisonError::into_inner);
        let blank = format!("{}/fault/blank", self.address);
        if browser.engine == Engine::Firefox && session.renew(&blank).unwrap_or(false) {
            *window = Some(session);
        }
        Ok(proofs)
    }
}

fn counted(name: &str, outcome: Result<Vec<Proof>>, stumbled: Option<&Error>, start: Instant) -> Tally {
    let mut tally = Tally::default();
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(proofs) => {
            println!("test {name} ... ok ({seconds:.1} s)");
            tally.passed += 1;
            tally.proofs = proofs;
            tally.at_second_run.extend(stumbled.map(|error| format!("{name}\n    {error:#}")));
        }
        Err(error) => {
            // The reason stands once more beside the sum, where a long log is read first.
            println!("test {name} ... FAILED ({seconds:.1} s)\n    {error:#}");
            tally.fail(format!("{name}\n    {error:#}"));
        }
    }
    tally
}

/// Whether a variable says that what a test needs must be there.
fn is_required(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| value == "1")
}

/// Runs one test. What a failed test saw is kept as a picture under the target directory.
fn visit(test: &Test, name: &str, visit: &Visit) -> Result<()> {
    let outcome =
        catch_unwind(AssertUnwindSafe(|| (test.run)(visit))).unwrap_or_else(|_| bail!("the test itself panicked"));
    let console = visit.session.console_errors();
    if let Err(error) = outcome {
        let picture = failure_picture(visit.root, name)?;
        drop(visit.session.screenshot(&picture));
        let shown = visit.session.run(SHOWN, &[]).unwrap_or_default();
        return Err(error.context(format!(
            "{} (console: {:?}; the page: {shown})",
            picture.display(),
            console.unwrap_or_default()
        )));
    }
    let unexpected: Vec<String> =
        console?.into_iter().filter(|line| !test.expected.iter().any(|part| line.contains(part))).collect();
    ensure_that!(unexpected.is_empty(), "the console holds errors: {unexpected:#?}");
    Ok(())
}

/// What a page that failed says of itself.
const SHOWN: &str = "const text = (id) => document.querySelector(id)?.innerText?.slice(0, 200);
    return { state: document.body?.dataset.state, error: text('#error'), status: text('#status'), focus: document.activeElement?.id };";

fn failure_picture(root: &Path, name: &str) -> Result<PathBuf> {
    let folder = root.join("target").join("failed-page-tests");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{name}.png")))
}
