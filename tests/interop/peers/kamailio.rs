//! Kamailio in front of the server: a proxy that stays in the path of calls (Record-Route).

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
};

use cusax::app::child::{self, Supervised};

use super::{events::LIMIT, ports::free_port};

/// Where calls go that come to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routing {
    /// Next hops by URI: the first one gets the request as it is, each further one a branch of its own.
    pub(crate) to: Vec<String>,
    /// What the branches after the first are called, if not as the request.
    pub(crate) rooms: Vec<String>,
    /// The name that it puts into Record-Route, instead of its address. By UDP only.
    pub(crate) name: Option<&'static str>,
    /// Folder of `certificate.pem` and `key.pem`, if it speaks TLS.
    pub(crate) tls: Option<PathBuf>,
}

/// A running Kamailio.
#[derive(Debug)]
pub(crate) struct Kamailio {
    child: Supervised,
    port: u16,
    log: PathBuf,
}

impl Kamailio {
    pub(crate) fn start(folder: &Path, routing: &Routing) -> Self {
        let port = free_port();
        let folder = folder.join(format!("kamailio-{port}"));
        fs::create_dir_all(&folder).expect("writable");
        fs::write(folder.join("kamailio.cfg"), config(port, routing)).expect("writable");
        let log = folder.join("log");
        let out = fs::File::create(&log).expect("writable");
        let mut command = child::command("kamailio", "kamailio").expect("./check installs it");
        // -DD: it stays in the foreground, with its workers.
        command.args(["-DD", "-E", "-m", "16", "-M", "4", "-Y"]).arg(&folder);
        command.args(["-f", "kamailio.cfg"]).current_dir(&folder).stdin(Stdio::null());
        command.stdout(out.try_clone().expect("a descriptor")).stderr(out);
        let child = Supervised::start("kamailio", command).expect("it starts");
        let kamailio = Self { child, port, log };
        let wanted = if routing.tls.is_some() { vec![port, port + 1] } else { vec![port] };
        let listens = || {
            let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
            let bound = |port: &u16| table.contains(&format!("0100007F:{port:04X} 00000000:0000 0A"));
            wanted.iter().all(bound).then_some(())
        };
        child::wait_until(LIMIT, listens).unwrap_or_else(|| panic!("kamailio stays away:\n{}", child::tail(&kamailio.log, 30)));
        kamailio
    }

    /// Where it listens, by UDP and by TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

impl Drop for Kamailio {
    /// Its workers end with it only if it is asked.
    fn drop(&mut self) {
        self.child.terminate();
        let ended = self.child.wait(LIMIT).is_some();
        if !std::thread::panicking() {
            assert!(ended, "kamailio stays:\n{}", child::tail(&self.log, 30));
        }
    }
}

fn config(port: u16, routing: &Routing) -> String {
    let Routing { to, rooms, name, tls } = routing;
    let mut text = format!(
        "#!KAMAILIO\ndebug=1\nlog_stderror=yes\nchildren=1\ntcp_children=1\nauto_aliases=no\nalias=\"proxy.test\"\n\
         dns_cache_init=off\nlisten=udp:127.0.0.1:{port}\nlisten=tcp:127.0.0.1:{port}\n"
    );
    let mut add = |more: &str| text.push_str(more);
    if tls.is_some() {
        add(&format!("enable_tls=yes\nlisten=tls:127.0.0.1:{}\n", port + 1));
    }
    for module in ["tm", "sl", "rr", "pv", "maxfwd", "siputils", "textops", "corex"] {
        add(&format!("loadmodule \"{module}.so\"\n"));
    }
    if let Some(folder) = tls {
        let folder = folder.display();
        add(&format!(
            "loadmodule \"tls.so\"\nmodparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\nmodparam(\"tls\", \"certificate\", \"{folder}/certificate.pem\")\n\
             modparam(\"tls\", \"private_key\", \"{folder}/key.pem\")\n"
        ));
    }
    add("modparam(\"rr\", \"enable_double_rr\", 1)\nmodparam(\"tm\", \"fr_timer\", 10000)\n");
    let record = match name {
        Some(name) => format!("record_route_preset(\"{name}:{port}\");"),
        None => "record_route();".to_owned(),
    };
    let mut branches = String::new();
    for (n, to) in to.iter().enumerate().skip(1) {
        let room = rooms.get(n - 1).map_or_else(|| "$ru".to_owned(), |room| format!("\"{room}\""));
        let _a_string_takes_all = writeln!(
            branches,
            "if (is_method(\"INVITE\")) {{ $var(room) = {room}; append_branch(\"$var(room)\"); $(branch(dst_uri)[{}]) = \"{to}\"; }}",
            n - 1
        );
    }
    add(&format!(
        "request_route {{
    if (!mf_process_maxfwd_header(\"10\")) {{ sl_send_reply(\"483\", \"Too Many Hops\"); exit; }}
    if (is_method(\"CANCEL\")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method(\"ACK\")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply(\"404\", \"Not Here\"); exit;
    }}
    t_check_trans();
    if (is_method(\"INVITE|SUBSCRIBE\")) {{ {record} }}
    $du = \"{}\";
    {branches}
    t_relay();
}}
",
        to[0]
    ));
    text
}
