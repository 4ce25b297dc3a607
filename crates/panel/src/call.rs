//! One call with everything that belongs to it: the pass, its renewal, and what the answer means.
//!
//! Panels answer 200 to nearly everything and put yes or no into an envelope; statuses speak of the way in. 2.x
//! answers 404 to a caller whose session ended just as to one who asks for something that does not exist; 3.x
//! tells the two apart (401, 404) for callers that send `X-Requested-With: XMLHttpRequest`.

use crate::{
    Panel, PanelError,
    error::excerpt,
    family::Gap,
    http::{Answer, Lost, Request},
    session::{Pass, Spoken, stranger},
    wire::envelope::Envelope,
};
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Why a call gave no object.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The panel let us in and has no such path: it is of another generation than we took it for, or, with a gap,
    /// perhaps only lacks this one path.
    Gone(Option<Gap>),
    /// A write was sent, and what became of it is unknown.
    Unclear(String),
    /// Anything else; a write was not applied.
    Error(PanelError),
}

impl From<PanelError> for Fault {
    fn from(error: PanelError) -> Self {
        Self::Error(error)
    }
}

impl Fault {
    /// As the caller of the crate sees it.
    pub(crate) fn into_error(self) -> PanelError {
        match self {
            Self::Gone(_) => PanelError::unexpected("the panel lacks a path that its generation has (404)", b""),
            Self::Unclear(what) => PanelError::Unclear { what },
            Self::Error(error) => error,
        }
    }
}

impl Panel {
    /// Makes a call and gives the envelope's object.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Value, Fault> {
        let mut renewed = false;
        loop {
            let pass = self.session.pass(&self.http).await?;
            let answer = match self.http.send(request, headers(&pass)).await {
                Ok(answer) => answer,
                Err(lost) => return Err(without_answer(request, lost)),
            };
            self.session.keep(&pass, &answer);
            match (&pass, answer.status) {
                (Pass::Token(_), 401) => self.session.token_refused()?,
                (Pass::Session { fresh, epoch, spoken, .. }, status @ (401 | 403 | 404)) => {
                    let may_have_ended = status != 404 || *spoken == Spoken::Two;
                    if *fresh || renewed || !may_have_ended {
                        return Err(shut_out(&answer));
                    }
                    self.session.renew(&self.http, *epoch).await?;
                    renewed = true;
                }
                (Pass::Token(_), 403 | 404) => return Err(shut_out(&answer)),
                (Pass::Token(_) | Pass::Session { .. }, _) => return understood(request, &answer),
            }
        }
    }
}

fn headers(pass: &Pass) -> HeaderMap {
    match pass {
        Pass::Token(headers) | Pass::Session { headers, .. } => headers.clone(),
    }
}

fn without_answer(request: &Request, lost: Lost) -> Fault {
    match lost {
        Lost::Sent(cause) if request.writes => Fault::Unclear(format!("{}: {cause}", request.name())),
        Lost::TooLarge(_) if request.writes => Fault::Unclear(format!("{}: endless answer", request.name())),
        lost @ (Lost::Sent(_) | Lost::Unsent(..) | Lost::TooLarge(_)) => Fault::Error(lost.into_error()),
    }
}

/// 401, 403 or 404 to somebody who has just shown all there is to show.
fn shut_out(answer: &Answer) -> Fault {
    match answer.status {
        404 => Fault::Gone(None),
        401 => PanelError::Unauthorised { why: "the login succeeds, but its session is not accepted".into() }.into(),
        // Newer panels say so when a token's scope does not cover the call.
        _ => match Envelope::parse(&answer.body) {
            Ok(envelope) => PanelError::Unauthorised { why: excerpt(envelope.msg.as_bytes()) }.into(),
            Err(()) => stranger(answer).into(),
        },
    }
}

fn understood(request: &Request, answer: &Answer) -> Result<Value, Fault> {
    let doubt = |what: String| Err(Fault::Unclear(format!("{}: {what}", request.name())));
    match answer.status {
        200 => {}
        status @ 500..=599 if request.writes => return doubt(format!("HTTP status {status}")),
        _ => return Err(stranger(answer).into()),
    }
    match Envelope::parse(&answer.body) {
        Ok(Envelope { success: true, obj, .. }) => Ok(obj),
        Ok(Envelope { success: false, msg, .. }) => Err(PanelError::refused(excerpt(msg.as_bytes())).into()),
        // A handler that broke down answers 500, or 200 and nothing to callers that accept gzip, as we do.
        Err(()) if request.writes => doubt("an answer that is empty or cut off".into()),
        Err(()) => {
            let what = format!("{} is no answer of a panel", request.name());
            Err(PanelError::unexpected(what, &answer.body).into())
        }
    }
}
