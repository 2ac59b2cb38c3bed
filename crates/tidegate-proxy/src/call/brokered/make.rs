//! Makes the session at the vCenter that a call was lent, by the call that needs it first.

use super::Call;
use super::send::Tried;
use super::slot::Slot;
use crate::broker::Ask;
use crate::broker::upstream::{self, AskFailed, Said};
use crate::vcenter::answer::{self, Judged};
use crate::vcenter::write;
use tidegate_core::session::broker::{DownId, Event, Make, Refusal};

/// Why a session does not stand.
pub(super) enum NotMade {
    /// What it would have been made of is gone.
    Dead,
    Failed(AskFailed),
    /// The server said no.
    Said(Said),
}

impl Call<'_> {
    /// Makes the session that the call was lent, and tells the broker how that went.
    pub(super) async fn establish(
        &mut self,
        ask: &mut Ask<'_>,
        slot: &mut Slot,
        down: DownId,
        make: Make,
    ) -> Result<(), NotMade> {
        let made = self.make(ask, slot, down, make).await;
        if let Err(NotMade::Failed(_) | NotMade::Said(_)) = made {
            ask.made(|up| Event::Failed { up });
        }
        made // what it is made of may be gone: then the call gives up, and asks again
    }

    async fn make(&mut self, ask: &mut Ask<'_>, slot: &mut Slot, down: DownId, make: Make) -> Result<(), NotMade> {
        let host = slot.server.host().to_string();
        let principal = self.broker.tables(|tables| tables.downs.get(&down).map(|down| down.principal));
        let principal = principal.ok_or(NotMade::Dead)?;
        let asked = match make {
            Make::Login => self.broker.login_again(principal).ok_or(NotMade::Dead)?,
            Make::Clone { of } => {
                let cookie = self.broker.tables(|tables| tables.ups.get(&of).map(|up| up.cookie.clone()));
                let cookie = cookie.ok_or(NotMade::Dead)?;
                let request = upstream::request(&host, Some(&cookie), &write::acquire_clone_ticket());
                let said = self.ask(slot, &request, true).await.map_err(NotMade::Failed)?;
                let Some(ticket) = answer::ticket(&said.body).filter(|_| said.status == 200) else {
                    if answer::judge(said.status, &said.body) == Judged::OwnSessionDead {
                        self.broker.dead(of);
                        return Err(NotMade::Dead);
                    }
                    return Err(NotMade::Said(said));
                };
                write::clone_session(&ticket)
            }
        };
        let request = upstream::request(&host, None, &asked);
        let said = self.ask(slot, &request, false).await.map_err(NotMade::Failed)?;
        let established = self.broker.established(ask, principal, &said, slot.server.clone());
        established.map_err(|denied| if denied { NotMade::Dead } else { NotMade::Said(said) })
    }

    /// The call was not sent, for its session does not stand.
    pub(super) async fn not_made(&mut self, slot: Slot, failed: NotMade) -> Tried {
        match failed {
            NotMade::Dead => {
                self.unused(slot);
                Tried::Unsent
            }
            NotMade::Failed(failed) => {
                self.close(slot, Err(failed));
                Tried::Over(self.no_answer(failed).await)
            }
            NotMade::Said(said) => {
                self.close(slot, Ok(&said));
                Tried::Over(self.later(Refusal::Upstream).await)
            }
        }
    }
}
