//! The peers that interop tests start, each behind a few verbs.

pub(crate) mod authority;
pub(crate) mod browser;
pub(crate) mod caller;
pub(crate) mod chat;
pub(crate) mod contact;
pub(crate) mod dns;
pub(crate) mod events;
pub(crate) mod folder;
pub(crate) mod gate;
pub(crate) mod jssip;
pub(crate) mod kamailio;
pub(crate) mod phone;
pub(crate) mod ports;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod sipp;
pub(crate) mod sound;
pub(crate) mod uac;

use std::{io::Write as _, path::Path, process::Command};

use cusax::app::prosody::{Prosody, Setup};

pub(crate) use authority::Authority;
pub(crate) use browser::Browser;
pub(crate) use caller::Caller;
pub(crate) use chat::Chat;
pub(crate) use folder::Folder;
pub(crate) use gate::Gate;
pub(crate) use phone::{Phone, PhoneSetup};
pub(crate) use script::Script;
pub(crate) use server::Server;
pub(crate) use sipp::{Line, Message, Sipp};

/// Starts a Prosody for `localhost` with these users; each one's password is their name.
pub(crate) fn prosody(folder: &Folder, users: &[&str]) -> Prosody {
    Prosody::start(Setup::localhost(users), &folder.join("prosody")).expect("prosody starts")
}

/// Holds conference documents (RFC 4575) against the schema, if `CUSAX_SPECS` says where that is.
pub(crate) fn validate_documents(folder: &Folder, documents: &[String]) {
    assert!(!documents.is_empty(), "no document to look at");
    let Some(specs) = std::env::var_os("CUSAX_SPECS") else {
        eprintln!(
            "CUSAX_SPECS is not set: {} documents are not held against the schema",
            documents.len()
        );
        return;
    };
    let schema = Path::new(&specs).join("schema/conference-info.xsd");
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--nonet", "--noout", "--schema"]).arg(schema);
    for (number, document) in documents.iter().enumerate() {
        let file = folder.join(format!("notify-{number}.xml"));
        std::fs::write(&file, document).expect("writable");
        xmllint.arg(file);
    }
    let done = xmllint.output().expect("./check installs xmllint");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Prints a measured figure past the test runner, which keeps to itself what passing tests print.
pub(crate) fn tell(figure: &str) {
    let _nobody_may_read_it = writeln!(std::io::stderr(), "measured: {figure}");
}
