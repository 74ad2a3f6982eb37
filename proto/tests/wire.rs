//! DM's wire does not change: every message, field number, type and method path of package `pb` is in a golden file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;

use prost_reflect::{Cardinality, DescriptorPool, MessageDescriptor};

fn message(out: &mut String, message: &MessageDescriptor) {
    writeln!(out, "message {}", message.full_name()).unwrap();
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(prost_reflect::FieldDescriptor::number);
    for field in fields {
        let many = if field.cardinality() == Cardinality::Repeated { "repeated " } else { "" };
        let alone = field.containing_oneof().map_or(String::new(), |o| format!(" oneof {}", o.name()));
        writeln!(out, "  {} {many}{:?} {}{alone}", field.number(), field.kind(), field.name()).unwrap();
    }
    for child in message.child_messages() {
        self::message(out, &child);
    }
}

#[test]
fn the_wire_is_as_in_the_golden_file() {
    let pool = DescriptorPool::decode(dm_proto::DESCRIPTORS).unwrap();
    let mut out = String::new();
    let mut services: Vec<_> = pool.services().filter(|s| s.package_name() == "pb").collect();
    services.sort_by_key(|s| s.full_name().to_owned());
    for service in services {
        for method in service.methods() {
            let (input, output) = (method.input(), method.output());
            let (up, down) = (method.is_client_streaming(), method.is_server_streaming());
            let path = format!("/{}/{}", service.full_name(), method.name());
            let stream = |on| if on { "stream " } else { "" };
            writeln!(
                out,
                "rpc {path} {}{} {}{}",
                stream(up),
                input.full_name(),
                stream(down),
                output.full_name()
            )
            .unwrap();
        }
    }
    let mut files: Vec<_> = pool.files().filter(|f| f.package_name() == "pb").collect();
    files.sort_by_key(|f| f.name().to_owned());
    for file in files {
        for top in file.messages() {
            message(&mut out, &top);
        }
        for choice in file.enums() {
            writeln!(out, "enum {}", choice.full_name()).unwrap();
            for value in choice.values() {
                writeln!(out, "  {} {}", value.number(), value.name()).unwrap();
            }
        }
    }
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/pb-wire.txt");
    if std::env::var_os("RAFT_DM_BLESS").is_some() {
        std::fs::write(golden, &out).unwrap();
    }
    let known = std::fs::read_to_string(golden).unwrap();
    for (was, is) in known.lines().zip(out.lines()) {
        assert_eq!(
            was, is,
            "the wire has changed; old DM clients must go on working (RAFT_DM_BLESS=1 for additions)"
        );
    }
    assert_eq!(
        known.lines().count(),
        out.lines().count(),
        "the wire has changed (RAFT_DM_BLESS=1 for additions)"
    );
}
