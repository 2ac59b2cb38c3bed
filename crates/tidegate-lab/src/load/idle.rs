//! Clients that send one request each and then say nothing, held until stdin says otherwise.

use super::rate::stopped;
use super::{Ends, Load};
use crate::process::{Command, SelfReport, SelfWatch, say};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    open: usize,
    #[serde(flatten)]
    ends: Ends,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    itself: Option<SelfReport>,
}

/// Opens the connections one after the other, says `idle` when all are, and holds them.
pub async fn hold(load: Load, watch: SelfWatch, commands: &mut mpsc::Receiver<Command>) {
    let (mut ends, mut held) = (Ends::default(), JoinSet::new());
    let all = async {
        for index in 0..load.spec.connections {
            if let Some(line) = load.ask_counted(index, None, &mut ends).await {
                held.spawn_local(line.closed());
            }
        }
    };
    let opened = tokio::select! {
        () = all => true,
        () = stopped(commands) => false,
    };
    if opened {
        say(&Report { kind: "idle", open: held.len(), ends: ends.clone(), itself: None });
        stopped(commands).await;
    }
    while held.try_join_next().is_some() {}
    say(&Report { kind: "final", open: held.len(), ends, itself: Some(watch.report()) });
}
