//! Which call is which.

use axum::http::Method;

/// A path and method that the panel knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Login,
    Logout,
    TwoFactor,
    /// The base path itself.
    Root,
    /// A page for people.
    Page,
    Api(Api<'a>),
}

/// A call below `panel/api`, with what its path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Api<'a> {
    List,
    Get(&'a str),
    Add,
    Update(&'a str),
    SetEnable(&'a str),
    Delete(&'a str),
    Import,
    ResetAllTraffics,
    AddClient,
    UpdateClient(&'a str),
    CopyClients(&'a str),
    DelClient(&'a str, &'a str),
    DelClientByEmail(&'a str, &'a str),
    DelDepleted(&'a str),
    ClientTraffics(&'a str),
    ClientTrafficsById(&'a str),
    ResetClientTraffic(&'a str, &'a str),
    ResetAllClientTraffics(&'a str),
    UpdateClientTraffic(&'a str),
    Onlines,
    LastOnline,
    ClientIps,
    ClearClientIps,
    /// What the server below answers.
    Server(&'a [&'a str]),
}

impl<'a> Route<'a> {
    /// `None` for a path that there is not, or not with this method.
    pub(super) fn of(method: &Method, segments: &'a [&'a str]) -> Option<Self> {
        if segments.iter().skip(1).any(|segment| segment.is_empty()) && segments != ["panel", ""] {
            return None;
        }
        let get = method == Method::GET;
        let post = method == Method::POST;
        match segments {
            ["login"] if post => Some(Self::Login),
            ["getTwoFactorEnable"] if post => Some(Self::TwoFactor),
            ["logout"] if get => Some(Self::Logout),
            [] | [""] if get => Some(Self::Root),
            ["panel", "" | "inbounds" | "settings" | "xray"] if get => Some(Self::Page),
            ["panel", "api", "server", below @ ..] => Some(Self::Api(Api::Server(below))),
            ["panel", "api", "inbounds", below @ ..] if get => looked_at(below).map(Self::Api),
            ["panel", "api", "inbounds", below @ ..] if post => done(below).map(Self::Api),
            _ => None,
        }
    }
}

fn looked_at<'a>(below_inbounds: &[&'a str]) -> Option<Api<'a>> {
    match *below_inbounds {
        ["list"] => Some(Api::List),
        ["get", id] => Some(Api::Get(id)),
        ["getClientTraffics", email] => Some(Api::ClientTraffics(email)),
        ["getClientTrafficsById", id] => Some(Api::ClientTrafficsById(id)),
        _ => None,
    }
}

fn done<'a>(below_inbounds: &[&'a str]) -> Option<Api<'a>> {
    match *below_inbounds {
        ["add"] => Some(Api::Add),
        ["update", id] => Some(Api::Update(id)),
        ["setEnable", id] => Some(Api::SetEnable(id)),
        ["del", id] => Some(Api::Delete(id)),
        ["import"] => Some(Api::Import),
        ["resetAllTraffics"] => Some(Api::ResetAllTraffics),
        ["addClient"] => Some(Api::AddClient),
        ["updateClient", key] => Some(Api::UpdateClient(key)),
        [id, "copyClients"] => Some(Api::CopyClients(id)),
        [id, "delClient", key] => Some(Api::DelClient(id, key)),
        [id, "delClientByEmail", email] => Some(Api::DelClientByEmail(id, email)),
        ["delDepletedClients", id] => Some(Api::DelDepleted(id)),
        [id, "resetClientTraffic", email] => Some(Api::ResetClientTraffic(id, email)),
        ["resetAllClientTraffics", id] => Some(Api::ResetAllClientTraffics(id)),
        ["updateClientTraffic", email] => Some(Api::UpdateClientTraffic(email)),
        ["onlines"] => Some(Api::Onlines),
        ["lastOnline"] => Some(Api::LastOnline),
        ["clientIps", _] => Some(Api::ClientIps),
        ["clearClientIps", _] => Some(Api::ClearClientIps),
        _ => None,
    }
}
