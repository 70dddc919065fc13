//! The `cusax` program: maps what was typed to what is done, and its result to an exit code.

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use cusax::{
    app::{
        demo, dialing, logging, operator,
        serve::{Server, check_files},
        signals::{Hangups, Signals},
    },
    cli::{Cli, Command, Connection, DemoArgs, RoomArgs},
    config::{self, Config},
    media,
    model::control::{ControlReply, ControlRequest, RoomReply},
};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve { config } => serve(&config),
        Command::CheckConfig { config } => check_config(&config),
        Command::Demo(args) => demo(args),
        Command::ConfigReference => print(config::REFERENCE).map(|()| ExitCode::SUCCESS),
        Command::Room(args) => {
            let waits = matches!(&args, RoomArgs::Dial(dial) if !dial.no_wait);
            let (request, connection) = args.into_request();
            ask(&request, &connection, waits)
        }
        Command::Drain { off, connection } => ask(&ControlRequest::Drain { on: !off }, &connection, false),
        Command::Trunk(args) => {
            let (request, connection) = args.into_request();
            ask(&request, &connection, false)
        }
        Command::Stats(connection) => ask(&ControlRequest::Stats, &connection, false),
    };
    result.unwrap_or_else(|error| {
        let mut text = format!("cusax: {error}");
        let mut cause = error.source();
        while let Some(source) = cause {
            let reason = source.to_string();
            // Some errors show their cause themselves.
            if !text.ends_with(&reason) {
                text.push_str(&format!(": {reason}"));
            }
            cause = source.source();
        }
        let _nobody_is_left_to_tell = writeln!(io::stderr(), "{text}");
        ExitCode::FAILURE
    })
}

type Outcome = Result<ExitCode, Box<dyn Error>>;

fn serve(path: &Path) -> Outcome {
    let config = Config::load(path)?;
    logging::start(&config.log);
    for warning in &config.warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    media::raise_open_file_limit()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stop = Signals::new()?;
        let mut hangups = Hangups::new()?;
        let server = Server::start(&config, None)?;
        let addresses: Vec<String> = server
            .sip_addresses()
            .iter()
            .map(|(transport, address)| format!("{transport}:{address}"))
            .collect();
        print(&format!("ready: {}\n", addresses.join(" ")))?;
        loop {
            tokio::select! {
                () = stop.received() => break,
                () = server.drained() => break,
                () = hangups.received() => server.reread(),
            }
        }
        server.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn demo(args: DemoArgs) -> Outcome {
    let DemoArgs { seconds, dir, out, yes: _ } = args;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stop = Signals::new()?;
        let print = Arc::new(|line: &str| {
            let _nobody_reads_it = writeln!(io::stdout(), "{line}");
        });
        demo::run(demo::Options { seconds, dir, out }, print, stop.received()).await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn check_config(path: &Path) -> Outcome {
    let config = Config::load(path)?;
    check_files(&config)?;
    let file = path.display();
    let mut text = String::new();
    for warning in &config.warnings {
        text.push_str(&format!("{file}: warning: {warning}\n"));
    }
    let capacity = media::capacity(config.media.listen.len(), &config.media.ports)?;
    text.push_str(&format!(
        "{file}: good, for {} calls at once (media ports allow {}, the hard limit of open files {})\n",
        capacity.legs(),
        capacity.by_ports,
        capacity.by_files
    ));
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// `waits`: a call that has begun is followed until it is answered or came to nothing.
fn ask(request: &ControlRequest, connection: &Connection, waits: bool) -> Outcome {
    let mut reply = operator::ask(&connection.socket, request)?;
    if let (
        true,
        ControlRequest::Room { room, .. },
        ControlReply::Room {
            reply: RoomReply::Dialing { dial },
        },
    ) = (waits, request, &reply)
    {
        reply = dialing::follow(&connection.socket, room, *dial)?;
    }
    let text = if connection.json {
        serde_json::to_string_pretty(&reply)? + "\n"
    } else {
        operator::render(&reply)
    };
    print(&text)?;
    Ok(if operator::is_success(&reply) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}
