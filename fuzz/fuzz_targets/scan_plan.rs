//! Plans: refused with a sentence, or used.
#![no_main]

use tidegate_scan::Scanner;

const TEXT: &[u8] =
    b"2025-08-08T12:17:14.610Z Er(163) VVold[2255518]: [Originator@6876 sub=Default] setContext for VP array-1 failed
info vpxd[4085937] [Originator@6876 sub=vmomi] method: fileManagement; fault: (vim.fault.NotAuthenticated) {
--> }
";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match Scanner::new(data) {
        Ok(scanner) => assert!(scanner.scan_text("text", TEXT, None).starts_with("{\"format\":1")),
        Err(error) => assert!(!error.message.is_empty() && !error.message.contains('\n') && !error.hint.is_empty()),
    }
});
