//! A browser with JsSIP: the SIP phone is a page, which signals by secure WebSocket.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{Browser, Server, server::DOMAIN};

/// Calls the room `standup` from a page, as this account or as a guest of another domain.
pub(crate) fn call(server: &Server, folder: &Path, tone: u32, account: Option<&str>) -> Browser {
    let modules = json!(packages()).to_string();
    let setup = json!({
        "server": format!("wss://{}/", server.wss()),
        "user": account.unwrap_or("guest"),
        "domain": if account.is_some() { DOMAIN } else { "guests.invalid" },
        "password": account,
        "room": format!("sip:standup@{DOMAIN}"),
    })
    .to_string();
    // It believes the server as users of a real one would, by this key alone.
    let pin = format!("--ignore-certificate-errors-spki-list={}", server.authority().pin());
    Browser::open(folder, tone, &[pin], move |path, _| match path {
        "/" => ("text/html", include_str!("browser/jssip.html").to_owned()),
        "/modules" => ("application/json", modules.clone()),
        "/setup" => ("application/json", setup.clone()),
        _ => ("text/plain", String::new()),
    })
}

/// JsSIP and what it is made of, by path.
fn packages() -> BTreeMap<String, String> {
    let root = env::var_os("CUSAX_JSSIP").expect("./check installs JsSIP and says where");
    let root = Path::new(&root).join("node_modules");
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "js" || e == "json") {
                let name = path.strip_prefix(&root).expect("below it").to_string_lossy().into_owned();
                files.insert(name, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    files
}
