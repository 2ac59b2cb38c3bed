

def test_a_call_that_is_shown_shows_no_secret() -> None:
    request = Request("POST", "/login", body={"password": "hush"}, content=b"hush", basic=("me", "hush"))
    assert "hush" not in f"{request!r} {request}"
