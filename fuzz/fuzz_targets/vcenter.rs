//! vCenter's requests, answers, JSON and heads. The first byte says which.
#![no_main]

use tidegate_proxy::vcenter::request::{self, Edit, Operation, PREFIX_MAX, Ref, Spoken};
use tidegate_proxy::vcenter::write::{self, Say, UserSession};
use tidegate_proxy::vcenter::{answer, rest, sessions, table};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 4 {
        0 => requested(data),
        1 => answered(data),
        2 => hidden(data),
        _ => written(data),
    }
});

/// What is read stands where it is said to stand, and an edit there is read as what was put.
fn requested(data: &[u8]) {
    let whole = request::read(data, true);
    assert_ne!(whole, Spoken::NeedMore);
    let early = request::read(&data[..data.len() / 2], false);
    match (&early, &whole) {
        (Spoken::NeedMore, _) | (Spoken::Refused(_), Spoken::Refused(_)) => {}
        // The first half of a long body already was more than is looked at.
        _ if data.len() / 2 >= PREFIX_MAX => {}
        _ => assert_eq!(early, whole),
    }
    let Spoken::Operation(operation) = whole else { return };
    let _ = table::manner(&operation.namespace, &operation.name);
    if !operation.whole {
        return;
    }
    let edits: Vec<Edit> = operation.session_refs.iter().map(|it| Edit::text(it.at.clone(), "session[k]<&>")).collect();
    if let Some(again) = read_again(&request::edit(data, &edits)) {
        assert_eq!(again.session_refs.len(), operation.session_refs.len());
        assert!(again.session_refs.iter().all(|reference| reference.id == "session[k]<&>"));
        assert_eq!((&again.name, again.max_objects), (&operation.name, operation.max_objects));
    }
    if operation.has_operation_id {
        return;
    }
    if let Some(with_id) = read_again(&request::edit(data, &[operation.with_operation_id("tg-1")])) {
        assert!(with_id.has_operation_id);
        assert_eq!((with_id.name, with_id.login), (operation.name, operation.login));
    }
}

/// `None`: it has grown out of what is looked at.
fn read_again(body: &[u8]) -> Option<Operation> {
    match request::read(body, true) {
        _ if body.len() > PREFIX_MAX => None,
        Spoken::Operation(operation) => Some(*operation),
        other => panic!("{other:?} {}", body.escape_ascii()),
    }
}

fn answered(data: &[u8]) {
    for status in [200, 401, 500] {
        let _ = answer::judge(status, data);
    }
    let _ = (answer::returned_ref(data), answer::user_session(data), answer::ticket(data));
    let _ = (answer::next_page(data), answer::faulted(data), answer::task_states(data));
    let text = String::from_utf8_lossy(data);
    let (method, target) = text.split_once(' ').unwrap_or(("POST", &text));
    let _ = rest::read(method, target, Some(data));
    let _ = (rest::token(rest::Api::New, data), rest::token(rest::Api::Old, data));
}

/// No session of the gate is left in an answer that is passed on: a second pass finds none.
fn hidden(data: &[u8]) {
    let mine = UserSession { key: "mine".to_owned(), ..UserSession::default() };
    if let Ok(rewritten) = sessions::rewrite(data, &|key| key != "mine", &mine, &[]) {
        let again = sessions::rewrite(&rewritten, &|key| key != "mine", &mine, &[]);
        assert!(
            again == Err(sessions::Unreadable::TooLong) || again.as_ref() == Ok(&rewritten),
            "{}",
            rewritten.escape_ascii()
        );
    }
}

/// Whatever is put into what the gate writes, it is one fault, and one login.
fn written(data: &[u8]) {
    let text: String = String::from_utf8_lossy(data).chars().filter(|c| !c.is_control()).collect();
    let said = write::fault(&Say::ManagedObjectNotFound(Ref::new("View", &text)), Some(&text));
    let fault = answer::faulted(&said.body).expect("a fault");
    assert_eq!((fault.name.as_str(), fault.words.as_str()), ("ManagedObjectNotFound", text.as_str()));
    let asked = write::login(&text, &text, Some(&text));
    if let Some(login) = read_again(&asked.body).and_then(|operation| operation.login) {
        assert_eq!((login.user.as_str(), login.password.as_str()), (text.as_str(), text.as_str()));
    }
}
