//! A Prosody of our own: generated configuration, free loopback ports, own data folder, a child of this process.
//!
//! For the demo and for tests. Does not touch the system's Prosody, speaks no TLS and reaches no other server.

use std::{
    fmt::Write as _,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use super::child::{self, ChildError, Supervised};

/// What the server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The host whose users log in.
    pub domain: String,
    /// Domains that we attach to as components (XEP-0114).
    pub components: Vec<String>,
    /// The secret of all components.
    pub secret: String,
    /// Names and passwords.
    pub users: Vec<(String, String)>,
    /// A domain with Prosody's own MUC service, to compare with.
    pub own_muc: Option<String>,
}

impl Setup {
    /// Serves `localhost` with components `rooms.localhost` and `phones.localhost`, for these users; each one's password is their name.
    pub fn localhost(users: &[&str]) -> Self {
        Self {
            domain: "localhost".into(),
            components: vec!["rooms.localhost".into(), "phones.localhost".into()],
            secret: "component secret".into(),
            users: users.iter().map(|u| ((*u).to_owned(), (*u).to_owned())).collect(),
            own_muc: None,
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Prosody {
    setup: Setup,
    dir: PathBuf,
    c2s: u16,
    component: u16,
    child: Supervised,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProsodyError {
    /// No process.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// Its folder can't be written.
    #[error("{path}: {source}")]
    Folder {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended, or opened no port in time.
    #[error("prosody is not ready; its log ends:\n{log}")]
    NotReady {
        /// The last lines.
        log: String,
    },
}

/// Starting takes under half a second on an idle machine; this one may be busy building.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// A port found free may be taken before Prosody has it; then other ones are tried.
const PORT_TRIES: usize = 3;

impl Prosody {
    /// Writes configuration and users below `dir`, starts the server and waits until its ports answer.
    pub fn start(setup: Setup, dir: &Path) -> Result<Self, ProsodyError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (c2s, component) = free_ports().map_err(|source| ProsodyError::Folder {
                path: "loopback port".into(),
                source,
            })?;
            write_files(&setup, dir, c2s, component)?;
            let child = spawn(dir)?;
            let mut server = Self {
                setup: setup.clone(),
                dir: dir.to_owned(),
                c2s,
                component,
                child,
            };
            match server.wait_ready() {
                Ok(()) => return Ok(server),
                Err(error) if tries == PORT_TRIES => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// What it serves.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Where chat clients connect (plain TCP).
    pub fn client_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.c2s).into()
    }

    /// Where components connect (plain TCP).
    pub fn component_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.component).into()
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("prosody.log")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// Starts it again on the same ports with the same data, after [`Prosody::kill`] or instead of it.
    pub fn restart(&mut self) -> Result<(), ProsodyError> {
        self.kill();
        self.child = spawn(&self.dir)?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<(), ProsodyError> {
        let addresses = [self.client_address(), self.component_address()];
        let ready = child::wait_until(READY_LIMIT, || {
            if self.child.ended().is_some() {
                return Some(false);
            }
            addresses.iter().all(|a| TcpStream::connect(a).is_ok()).then_some(true)
        });
        match ready {
            Some(true) => Ok(()),
            Some(false) | None => {
                let mut log = child::tail(self.log(), 12);
                log.push_str(&child::tail(self.dir.join("prosody.out"), 12));
                Err(ProsodyError::NotReady { log })
            }
        }
    }
}

/// Two loopback ports that were free a moment ago.
fn free_ports() -> io::Result<(u16, u16)> {
    let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let two = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((one.local_addr()?.port(), two.local_addr()?.port()))
}

fn spawn(dir: &Path) -> Result<Supervised, ProsodyError> {
    let mut command = child::command("prosody", "prosody")?;
    let path = dir.join("prosody.out");
    let output = fs::File::create(&path).and_then(|f| Ok((f.try_clone()?, f)));
    let (out, err) = output.map_err(|source| ProsodyError::Folder { path, source })?;
    command.arg("-F").arg("--config").arg(dir.join("prosody.cfg.lua")).current_dir(dir);
    // Not of the terminal's foreground group: Ctrl-C ends us, and the server after we have said goodbye to it.
    command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
    Ok(Supervised::start("prosody", command)?)
}

fn write_files(setup: &Setup, dir: &Path, c2s: u16, component: u16) -> Result<(), ProsodyError> {
    write(&dir.join("prosody.cfg.lua"), &config(setup, dir, c2s, component))?;
    let accounts = dir.join("data").join(file_name(&setup.domain)).join("accounts");
    for (name, password) in &setup.users {
        write(
            &accounts.join(file_name(name) + ".dat"),
            &format!("return {{ [\"password\"] = {} }};\n", lua(password)),
        )?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), ProsodyError> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder.and_then(|()| fs::write(path, text)).map_err(|source| ProsodyError::Folder {
        path: path.to_owned(),
        source,
    })
}

fn config(setup: &Setup, dir: &Path, c2s: u16, component: u16) -> String {
    let path = |name: &str| lua(&dir.join(name).to_string_lossy());
    let mut text = format!(
        "-- Generated by cusax; changes are lost.\n\
         run_as_root = true\n\
         pidfile = {pid}\n\
         data_path = {data}\n\
         certificates = {certificates}\n\
         log = {{ info = {log} }}\n\
         interfaces = {{ \"127.0.0.1\" }}\n\
         c2s_ports = {{ {c2s} }}\n\
         component_interfaces = {{ \"127.0.0.1\" }}\n\
         component_ports = {{ {component} }}\n\
         c2s_require_encryption = false\n\
         allow_unencrypted_plain_auth = true\n\
         authentication = \"internal_plain\"\n\
         storage = \"internal\"\n\
         modules_enabled = {{ \"roster\", \"saslauth\", \"disco\", \"ping\", \"pep\", \"vcard_legacy\", \"bookmarks\", \"private\" }}\n\
         modules_disabled = {{ \"s2s\", \"tls\" }}\n\n\
         VirtualHost {domain}\n",
        pid = path("prosody.pid"),
        data = path("data"),
        certificates = path("certificates"),
        log = path("prosody.log"),
        domain = lua(&setup.domain),
    );
    for domain in &setup.components {
        // disco_hidden: clients would take the first conference service of their server for their default one (rule R34).
        let _a_string_takes_all = write!(
            text,
            "\nComponent {}\n  component_secret = {}\n  disco_hidden = true\n",
            lua(domain),
            lua(&setup.secret)
        );
    }
    if let Some(domain) = &setup.own_muc {
        let _a_string_takes_all = write!(text, "\nComponent {} \"muc\"\n  muc_room_locking = false\n", lua(domain));
    }
    text
}

/// A Lua string literal.
fn lua(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\{byte:03}")),
        }
    }
    quoted.push('"');
    quoted
}

/// The file name that Prosody's `internal` storage uses for a host or a user.
fn file_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_for_lua() {
        assert_eq!(lua("a\"b\\c\nä"), r#""a\"b\\c\010\195\164""#);
    }

    #[test]
    fn users_go_where_prosody_looks_for_them() {
        assert_eq!(file_name("example.com"), "example%2ecom");
        assert_eq!(file_name("ann-1"), "ann%2d1");
    }

    #[test]
    fn r34_the_service_stays_out_of_the_servers_items() {
        let text = config(&Setup::localhost(&["ann"]), Path::new("/x"), 1, 2);
        assert_eq!(text.matches("disco_hidden = true").count(), 2);
    }
}
