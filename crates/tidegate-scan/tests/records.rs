//! Records: which lines belong to one, whatever stands between them and whatever a tool has done to them.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use tidegate_scan::record::{self, Record};

const NOW: i64 = 1_764_063_021_000_000_000;

/// The record around the first place of `mark`.
fn around(text: &str, mark: &str) -> Record {
    record::assemble(text.as_bytes(), text.find(mark).unwrap(), true, NOW, None)
}

fn body(text: &str, mark: &str) -> String {
    around(text, mark).body
}

const VPXD: &str = "\
2025-08-08T12:00:00.000-06:00 info vpxd[1] [Originator@6876 sub=a] before
2025-08-08T12:00:01.000-06:00 info vpxd[1] [Originator@6876 sub=a] first {
-->    second,
-->    third
--> }
2025-08-08T12:00:02.000-06:00 info vpxd[1] [Originator@6876 sub=a] after
";

#[test]
fn arrows_go_on() {
    let expected = "[Originator@6876 sub=a] first {\n   second,\n   third\n}";
    for mark in ["first", "second", "third", "}"] {
        let record = around(VPXD, mark);
        assert_eq!((record.body.as_str(), record.start), (expected, 74), "{mark}");
        assert!(!record.truncated);
    }
    assert_eq!(body(VPXD, "after"), "[Originator@6876 sub=a] after");
}

#[test]
fn what_tools_put_in_does_not_matter() {
    let expected = body(VPXD, "second");
    let numbered: String = VPXD.lines().enumerate().map(|(n, line)| format!("{}:{line}\n", n + 25331)).collect();
    let around_it: String = VPXD.lines().enumerate().map(|(n, line)| format!("{}-{line}\n", n + 1)).collect();
    let named: String = VPXD.lines().enumerate().map(|(n, line)| format!("/var/log/vpxd-1.log:{n}:{line}\n")).collect();
    let coloured: String = VPXD.lines().map(|line| format!("\u{1b}[33;1m{line}\u{1b}[0m\n")).collect();
    let encoded = VPXD.replace("-->", "--&gt;");
    for text in [numbered, around_it, named, coloured, encoded, VPXD.replace('\n', "\r\n"), format!("\u{feff}{VPXD}")] {
        assert_eq!(body(&text, "second"), expected, "{text}");
    }
}

#[test]
fn entities_are_decoded_once() {
    let text = "2025-08-08T12:00:00Z info a[1]: x &amp;lt; \\u0026 \\u003c\\u003E &quot;&#39;&nosuch; \\n\n";
    assert_eq!(body(text, "x "), "x &lt; & <> \"'&nosuch; \\n");
}

#[test]
fn syslog_frames_around_every_line_are_taken_off() {
    let wrapped: String = VPXD
        .lines()
        .map(|line| {
            format!(
                "<166>2025-08-08T18:00:03.000Z vc01 vpxd: {}\n",
                line.strip_prefix("--> ").map_or(line.to_owned(), |rest| format!("--> {rest}"))
            )
        })
        .collect();
    let record = around(&wrapped, "second");
    assert_eq!(record.body, body(VPXD, "second"));
    assert_eq!(
        (record.host.as_deref(), record.program.as_deref(), record.pid.as_deref()),
        (Some("vc01"), Some("vpxd"), Some("1"))
    );
    assert_eq!(record.time, around(VPXD, "first").time);
    let counted: String =
        VPXD.lines().map(|line| format!("99 <166>1 2025-08-08T18:00:03.000Z vc01 vpxd 1 - - {line}\n")).collect();
    assert_eq!(body(&counted, "second"), body(VPXD, "second"));
}

#[test]
fn frames_that_tell_their_length_need_no_line_ends() {
    let messages = [
        "<166>1 2025-08-08T12:00:00Z vc01 a 1 - - first",
        "<166>1 2025-08-08T12:00:00Z vc01 a 1 - - --> second",
        "<166>1 2025-08-08T12:00:01Z vc01 a 1 - - third",
    ];
    let text: String = messages.iter().map(|one| format!("{} {one}", one.len())).collect();
    for mark in ["first", "second"] {
        assert_eq!(body(&text, mark), "first\nsecond");
    }
    assert_eq!(body(&text, "third"), "third");
}

#[test]
fn marked_lines_of_esxi_8_go_on_past_those_of_others() {
    let text = "\
2025-08-08T12:00:00Z In(14) hostprofile[7]: one
2025-08-08T12:00:00Z In(14) vobd[8]: foreign
2025-08-08T12:00:00Z In(14)[+] hostprofile[7]: two
2025-08-08T12:00:00Z In(14)[+] vobd[8]: foreign too
2025-08-08T12:00:00Z In(14)[+] hostprofile[7]: 2025-08-08T12:00:00Z Er(163) vvold[9]: forged
2025-08-08T12:00:01Z In(14) hostprofile[7]: other
";
    let expected = "one\ntwo\n2025-08-08T12:00:00Z Er(163) vvold[9]: forged";
    for mark in ["one", "two", "forged"] {
        assert_eq!(body(text, mark), expected, "{mark}");
        assert_eq!(around(text, mark).program.as_deref(), Some("hostprofile"));
    }
    assert_eq!(body(text, "foreign"), "foreign\nforeign too");
    assert_eq!(body(text, "other"), "other");
}

#[test]
fn empty_header_is_joined_with_its_message() {
    let plain = "2020-01-01T00:00:00Z error vvold[2] [Originator@6876 sub=Default]\n--> VasaOp::fails\n2020-01-01T00:00:01Z info a[1]: x\n";
    let between = plain.replace("\n--> V", "\n2020-01-01T00:00:00Z info hostd[3] [Originator@6876 sub=b] quiet\n--> V");
    for text in [plain, between.as_str()] {
        for mark in ["error", "VasaOp"] {
            let record = around(text, mark);
            assert_eq!(record.body, "[Originator@6876 sub=Default]\nVasaOp::fails", "{mark}");
            assert_eq!(record.program.as_deref(), Some("vvold"));
        }
    }
    assert_eq!(body(&between, "quiet"), "[Originator@6876 sub=b] quiet");
}

#[test]
fn unfinished_record_goes_on_after_lines_of_others() {
    let other = "2025-08-08T12:00:01.500-06:00 info vpxd[2] [Originator@6876 sub=b] quiet\n";
    let between = VPXD.replace("first {\n", &format!("first {{\n{other}")).replace("--> }", &format!("{other}--> }}"));
    for mark in ["first", "second", "third", "}\n2025"] {
        assert_eq!(body(&between, mark), body(VPXD, "first"), "{mark}");
    }
    assert_eq!(body(&between, "quiet"), "[Originator@6876 sub=b] quiet");
    let finished = VPXD
        .replace("first {", "first")
        .replace("--> }\n", "")
        .replace("-->    third", &format!("{other}-->    third"));
    assert_eq!(body(&finished, "third"), "[Originator@6876 sub=b] quiet\n   third");
}

#[test]
fn bare_and_indented_lines_belong_to_the_header_before_them() {
    let text = "2025-08-08T12:00:00.000Z error a[1] [x] java.lang.X\n\tat b.c(D.java:1)\nCaused by: e\n\n2025-08-08T12:00:01.000Z info a[1] [x] y\n";
    assert_eq!(body(text, "Caused"), "[x] java.lang.X\n\tat b.c(D.java:1)\nCaused by: e");
}

#[test]
fn lines_without_any_header_stand_alone() {
    let text = "one\ntwo\n   more of two\n--> and more\nthree\n";
    assert_eq!(body(text, "one"), "one");
    for mark in ["two", "more of", "and"] {
        assert_eq!(body(text, mark), "two\n   more of two\nand more");
    }
}

#[test]
fn purple_screen_is_one_record() {
    let text = "cpu3:9)\u{1b}[45m\u{1b}[33;1mVMware ESXi 7.0.1 [build-16850804 x86_64]\u{1b}[0m\n#PF Exception 14 in world 9\n2020-01-01T13:07:09.954Z cpu3:9)@BlueScreen: line 12464\tassert \"x\" failed\ncode:\n0x1:[0x2]Panic@vmkernel#nover+0x1\n2020-01-01T13:07:07.014Z cpu3:9)next\n";
    assert_eq!(body(text, "#PF"), "VMware ESXi 7.0.1 [build-16850804 x86_64]\n#PF Exception 14 in world 9");
    assert_eq!(
        body(text, "@Blue"),
        "@BlueScreen: line 12464\tassert \"x\" failed\ncode:\n0x1:[0x2]Panic@vmkernel#nover+0x1"
    );
    let article =
        "Panic Details: Crash\nPanic Message: @BlueScreen: line 1\nBacktrace:\n  0x1:[0x2]a@b#1.0.8\n\nother\n";
    assert_eq!(body(article, "@Blue"), "Panic Message: @BlueScreen: line 1\nBacktrace:\n  0x1:[0x2]a@b#1.0.8");
}

#[test]
fn nuls_part_texts_or_vanish() {
    let text = "garbage\0\0\0\x012020-01-01T00:00:00Z cpu0:1)first\n2020-01-01T00:00:01Z cpu0:1)sec\0ond\n\0\0more";
    let record = around(text, "ond");
    assert_eq!((record.body.as_str(), record.pid.as_deref()), ("second", Some("1")));
    assert_eq!(body(text, "more"), "more");
    let lines = "2020-01-01T00:00:00Z cpu0:1)first\x002020-01-01T00:00:01Z cpu0:1)second\0";
    assert_eq!(body(lines, "second"), "second");
}

#[test]
fn records_are_cut_at_their_caps() {
    let many: String = std::iter::once("2020-01-01T00:00:00Z info a[1]: x\n".to_owned())
        .chain((0..1000).map(|n| format!("--> {n} y\n")))
        .collect();
    let record = around(&many, "x\n");
    assert!(record.truncated);
    assert_eq!(record.body.lines().count(), 400);
    assert!(around(&many, " 250 y").body.starts_with("x\n"));
    // Too far from its header: it begins as far back as can be looked.
    let late = around(&many, " 900 y");
    assert!(late.truncated && late.body.contains("900 y"), "{late:?}");
    let long = format!("2020-01-01T00:00:00Z info a[1]: {} literal {}\n", "p".repeat(40_000), "q".repeat(80_000));
    let record = around(&long, "literal");
    assert!(record.truncated && record.body.contains("literal") && record.body.len() <= 64 << 10);
}

#[test]
fn bare_lines_lose_the_prefix_that_their_header_has() {
    let text = "vpxd.log:7:2025-08-08T12:00:00.000Z error a[1] [x] one\nvpxd.log-8-Caused by: e\nvpxd.log:9:\tat b\n--\nvpxd.log:70:other\n";
    assert_eq!(body(text, "one"), "[x] one\nCaused by: e\n\tat b");
    let text = "7:2025-08-08T12:00:00.000Z error a[1] [x] one\n8-Caused by: 9-e\n";
    assert_eq!(body(text, "Caused"), "[x] one\nCaused by: 9-e");
}
