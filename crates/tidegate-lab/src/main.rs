//! The `tidegate-lab` command: one lab process per call, told what to do by a JSON spec, answering in JSON lines.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tidegate_lab::spec::{self, FloorSpec};
use tidegate_lab::{LabError, certificates, load, origin, process, provider, storm};

/// Simulated servers and hosts on real sockets.
#[derive(Parser)]
#[command(name = "tidegate-lab", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// A server that collapses past its knee
    Provider {
        /// JSON, or @FILE
        spec: String,
    },
    /// Hosts that all reconnect at once
    Storm {
        /// JSON, or @FILE
        spec: String,
    },
    /// A server that answers everything at once
    Origin {
        /// JSON, or @FILE
        spec: String,
    },
    /// A client that offers requests at a constant rate, or that holds idle connections
    Load {
        /// JSON, or @FILE
        spec: String,
    },
    /// Certificates for a provider, a gate and hosts, and some that nobody trusts
    Certificates {
        /// Where to write them
        dir: PathBuf,
        /// How many hosts
        #[arg(long, default_value_t = 300)]
        hosts: u32,
    },
    /// The time that a storm takes when all work is done at the best rate, in seconds of world time
    Floor {
        /// JSON, or @FILE
        spec: String,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate-lab: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(task: Task) -> Result<(), LabError> {
    process::raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LabError(format!("no event loop: {error}")))?;
    let local = tokio::task::LocalSet::new();
    match task {
        Task::Provider { spec } => local.block_on(&runtime, provider::run(spec::parse(&spec)?)),
        Task::Storm { spec } => local.block_on(&runtime, storm::run(spec::parse(&spec)?)),
        Task::Origin { spec } => local.block_on(&runtime, origin::run(spec::parse(&spec)?)),
        Task::Load { spec } => local.block_on(&runtime, load::run(spec::parse(&spec)?)),
        Task::Certificates { dir, hosts } => {
            process::say(&certificates::write(&dir, hosts)?);
            Ok(())
        }
        Task::Floor { spec } => {
            process::say(&spec::parse::<FloorSpec>(&spec)?.answer()?);
            Ok(())
        }
    }
}
