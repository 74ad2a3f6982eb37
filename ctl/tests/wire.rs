//! The real dmctl program against scripted masters on the wire: addresses, exit codes, messages, requests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake;

use fake::FakeMaster;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

const MEMBERS: &str = "{\n    \"result\": true,\n    \"msg\": \"\",\n    \"members\": [\n    ]\n}\n";

struct Run {
    code: i32,
    out: String,
    err: String,
}

async fn dmctl_with(words: &[&str], env: Option<&str>, input: &str) -> Run {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_dmctl"));
    command.args(words).env_remove("DM_MASTER_ADDR").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(addresses) = env {
        command.env("DM_MASTER_ADDR", addresses);
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    let output = output.expect("dmctl ends by itself").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

async fn dmctl(words: &[&str]) -> Run {
    dmctl_with(words, None, "").await
}

fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// An address where nobody listens.
async fn refused() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_and_silent_masters_are_passed_over_in_a_quarter_of_a_second_each() {
    let master = FakeMaster::default();
    // The kernel accepts its connections and nobody ever reads them: a frozen process looks like this.
    let (silent, two) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), refused().await);
    let (three, four) = (TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await);
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let (one, three, four) = (address(&silent), three.unwrap(), four.unwrap());
    let list = [one, two, address(&three), address(&four), master.serve().await.to_string()].join(",");
    let begun = Instant::now();
    let run = dmctl(&["-master-addr", &list, "list-member"]).await;
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, MEMBERS, ""));
    // One after the other, each given up before the next, they would take three seconds at least.
    let elapsed = begun.elapsed();
    println!("one dead and three silent masters passed over in {elapsed:?}");
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
    let only = silent.local_addr().unwrap().to_string();
    let run = dmctl(&["--master-addr", &only, "list-member"]).await;
    let head = format!(
        "Error: [code=48001:class=dmctl:scope=internal:level=high], Message: can't connect to {only}, "
    );
    assert!(run.code == 1 && run.err.starts_with(&head) && run.out.is_empty(), "{}", run.err);
    assert!(run.err.ends_with(", Workaround: Please check your network connection.\n"), "{}", run.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_freezes_under_a_call_is_left_for_the_next() {
    let (frozen, good) = (FakeMaster::default(), FakeMaster::default());
    let (freeze, mut is_frozen) = tokio::sync::watch::channel(false);
    *frozen.never.lock().unwrap() = Some(freeze);
    let (behind, proxy) = (frozen.serve().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let front = proxy.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut near, _) = proxy.accept().await.unwrap();
            let mut far = TcpStream::connect(behind).await.unwrap();
            if !*is_frozen.borrow() {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = is_frozen.wait_for(|frozen| *frozen) => {}
                }
            }
            held.push((near, far)); // open, and silent
        }
    });
    let list = format!("{front},{}", good.serve().await);
    let run = dmctl(&["--master-addr", &list, "list-member"]).await;
    assert_eq!((run.code, run.out.as_str()), (0, MEMBERS), "{}", run.err);
    assert_eq!((frozen.calls().len(), good.calls().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_is_tried_once_more_and_nothing_else_is() {
    let master = FakeMaster::default();
    let address = master.serve().await.to_string();
    *master.unavailable.lock().unwrap() = 1;
    let run = dmctl(&["--master-addr", &address, "list-member"]).await;
    assert_eq!((run.code, run.out.as_str(), master.calls().len()), (0, MEMBERS, 2));
    *master.unavailable.lock().unwrap() = 2;
    let run = dmctl(&["--master-addr", &address, "list-member"]).await;
    assert_eq!((run.code, master.calls().len()), (1, 4));
    assert_eq!(run.err, "Error: rpc error: code = Unavailable desc = going away\n");
    let run = dmctl(&["--master-addr", &address, "pause-task", "boom"]).await;
    assert_eq!((run.code, run.out.as_str(), master.calls().len()), (1, "can not pause task boom\n", 5));
    assert_eq!(run.err, "Error: rpc error: code = Unknown desc = [code=38043] no leader\n");
}

/// Two masters may not hear each other while a third hears both.
#[tokio::test(flavor = "multi_thread")]
async fn when_a_master_hears_no_leader_the_others_are_asked() {
    let first = FakeMaster::default();
    // They compare notes: it is one request.
    let other = || FakeMaster { request: first.request.clone(), ..FakeMaster::default() };
    let masters = [first.clone(), other(), other()];
    let mut list = Vec::new();
    for master in &masters {
        list.push(master.serve().await.to_string());
    }
    let list = list.join(",");
    *masters[0].leaderless.lock().unwrap() = true;
    *masters[1].leaderless.lock().unwrap() = true;
    let run = dmctl(&["--master-addr", &list, "stop-task", "task1"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    // It may have been carried out where its answer came from.
    let calls = masters.each_ref().map(|m| m.calls().join(";"));
    assert_eq!(calls, ["Delete task1 []", "Delete task1 [] again", "Delete task1 [] again"]);
    *masters[2].leaderless.lock().unwrap() = true;
    let run = dmctl(&["--master-addr", &list, "list-member"]).await;
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert_eq!(run.err, "Error: rpc error: code = Unknown desc = [code=38043] no leader\n");
    assert_eq!(masters.each_ref().map(|m| m.calls().len()), [2, 2, 2]);
}

/// The masters then know that a task which is not there may have been stopped by the first request.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_sent_again_says_so() {
    let master = FakeMaster::default();
    let address = master.serve().await.to_string();
    *master.unavailable.lock().unwrap() = 1;
    let run = dmctl(&["--master-addr", &address, "stop-task", "task1"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(master.calls(), ["Delete task1 []", "Delete task1 [] again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_went_away_is_no_failure() {
    let master = FakeMaster::default();
    let address = master.serve().await.to_string();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_dmctl"));
    command.args(["--master-addr", &address, "list-member"]).stderr(Stdio::piped());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output).await.expect("dmctl ends").unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_carry_what_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let task = file(&dir, "task.yaml", "name: task1\ntask-mode: all\n");
    let source = file(&dir, "source.yaml", "source-id: s1\n");
    let master = FakeMaster::default();
    let address = master.serve().await.to_string();
    let all: &[(&[&str], &str)] = &[
        (&["start-task", &task], "start [] remove=false adopt=false "),
        (
            &["start-task", "-s", "a,b", &task, "--remove-meta", "--start-time", "2026-01-01 00:00:00"],
            "start [\"a\", \"b\"] remove=true adopt=false 2026-01-01 00:00:00",
        ),
        (&["start-task", &task, "--adopt-meta"], "start [] remove=false adopt=true "),
        (&["stop-task", &task, "-s", "a"], "Delete task1 [\"a\"]"),
        (&["pause-task", "task1"], "Pause task1 []"),
        (&["resume-task", "no-such-file.yaml"], "Resume no-such-file.yaml []"),
        (&["query-status", "task1"], "query \"task1\" [] deadline=true"),
        (&["operate-source", "create", &source, "-w", "w1"], "StartSource 1 [] w1"),
        (&["operate-source", "stop", "s1", "-s", "s0"], "StopSource 0 [\"s0\", \"s1\"] "),
        (&["operate-source", "update", &source], "UpdateSource 1 [] "),
        (&["operate-source", "show"], "ShowSource 0 [] "),
        (&["list-member", "-m", "-n", "a,b"], "members false true false [\"a\", \"b\"]"),
    ];
    for (words, want) in all {
        let run = dmctl_with(words, Some(&address), "").await;
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{words:?}");
        assert_eq!(master.calls().last().unwrap(), want, "{words:?}");
    }
    assert_eq!(master.calls().len(), all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_printed_in_dms_form() {
    let master = FakeMaster::default();
    let address = master.serve().await.to_string();
    let run = dmctl(&["--master-addr", &address, "query-status"]).await;
    assert!(
        run.out.contains("            \"taskName\": \"task2\",\n            \"taskStatus\": \"Running\",\n")
    );
    let run = dmctl(&["--master-addr", &address, "query-status", "--more"]).await;
    assert!(run.out.contains("                    \"unresolvedDDLLockID\": \"\",\n"), "{}", run.out);
    let run = dmctl(&["--master-addr", &address, "query-status", "missing"]).await;
    let want = "{\n    \"result\": false,\n    \"msg\": \"task missing has no source or not exist\",\n    \
                \"sources\": [\n    ]\n}\n";
    assert_eq!((run.code, run.out.as_str()), (0, want));
    let run = dmctl(&["--master-addr", &address, "stop-task", "-s", "mysql-replica-01"]).await;
    let row = |task: &str| {
        format!(
            "        {{\n            \"task\": \"{task}\",\n            \"op\": \"Delete\",\n            \"result\": true,\n            \
             \"msg\": \"\",\n            \"sources\": [\n                {{\n                    \"result\": true,\n                    \
             \"source\": \"mysql-replica-01\",\n                    \"worker\": \"worker1\"\n                }}\n            ]\n        }}"
        )
    };
    let rows = format!("{},\n{}", row("task1"), row("task2"));
    let want =
        format!("{{\n    \"result\": true,\n    \"msg\": \"\",\n    \"tasks\": [\n{rows}\n    ]\n}}\n");
    assert_eq!(run.out, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_end_with_one_and_send_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bad = file(&dir, "bad.yaml", "name: t\nno-such-key: 1\n");
    let master = FakeMaster::default();
    let address = master.serve().await.to_string();
    let see = "Error: please check output to see error";
    let all: &[(&[&str], &str)] = &[
        (&["start-task"], see),
        (&["start-task", "a", "b"], see),
        (&["query-status", "a", "b"], see),
        (&["list-member", "a"], see),
        (&["operate-source"], see),
        (
            &["start-task", &bad],
            "Error: [code=20003:class=config:scope=internal:level=medium], Message: task: line 2",
        ),
        (&["operate-source", "create", &bad], "Error: [code=20003"),
        (&["start-task", "/no/such/file"], "Error: open /no/such/file"),
        (&["operate-source", "create", "/no/such/file"], "Error: open /no/such/file"),
        (&["operate-source", "create"], "Error: operate-source create/update/stop should specify"),
        (&["operate-source", "destroy"], "Error: invalid operate 'destroy' on source"),
        (&["stop-task"], "Error: can only operate one source at a time"),
        (&["pause-task", "-s", "a,b"], "Error: can only operate one source at a time"),
        (&["list-member", "--colour"], "Error: unknown flag: --colour"),
        (
            &["start-tsk"],
            "Error: unknown command \"start-tsk\" for \"dmctl\"\n\nDid you mean this?\n\tstart-task",
        ),
        (&["--rpc-timeout", "0", "list-member"], "Error: --rpc-timeout"),
    ];
    for (words, want) in all {
        let run = dmctl_with(words, Some(&address), "").await;
        assert_eq!(run.code, 1, "{words:?}");
        assert!(run.err.starts_with(want), "{words:?}: {}", run.err);
        assert_eq!(run.out.contains("Usage: "), *want == see, "{words:?}: {}", run.out);
    }
    assert_eq!(master.calls(), Vec::<String>::new());
    let run = dmctl(&["list-member"]).await;
    assert_eq!((run.code, run.err.as_str()), (1, "Error: --master-addr not provided\n"));
    let run = dmctl(&["--master-addr", "localhost", "list-member"]).await;
    assert_eq!((run.code, run.err.as_str()), (1, "Error: address localhost: missing port in address\n"));
    for words in [&["--help"][..], &["start-task", "-h"], &["-V"], &["-version"]] {
        assert_eq!(dmctl(words).await.code, 0, "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_from_a_pipe_until_it_ends() {
    let master = FakeMaster::default();
    let address = master.serve().await.to_string();
    let lines = "\n# a comment\nlist-member -l\nnonsense\nlist-member --master-addr x\nstart-task\npause-task 'a b' -s s";
    let run = dmctl_with(&["--master-addr", &address], None, lines).await;
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(master.calls(), ["members true false false []", "Pause a b [\"s\"]"]);
    assert!(run.out.starts_with(MEMBERS), "{}", run.out);
    for part in [
        "fail to run: [nonsense]\nError: unknown command \"nonsense\" for \"dmctl\"\n",
        "fail to run: [list-member --master-addr x]\nError: unknown flag: --master-addr\n",
        "fail to run: [start-task]\nError: please check output to see error\n",
        "\"op\": \"Pause\"",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    let run = dmctl_with(&["--master-addr", &address], None, "exit\nlist-member\n").await;
    assert_eq!((run.code, run.out.as_str(), master.calls().len()), (0, "", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_member_names_one_member_and_fails_when_refused() {
    let master = FakeMaster::default();
    let address = master.serve().await.to_string();
    let run = dmctl(&["--master-addr", &address, "offline-member", "--master", "-n", "m3"]).await;
    assert_eq!(run.out, "{\n    \"result\": true,\n    \"msg\": \"\"\n}\n", "{}", run.err);
    let run = dmctl(&["--master-addr", &address, "offline-member", "-w", "--name", "busy"]).await;
    assert_eq!((run.code, run.err.as_str()), (1, "Error: offline member failed:still online\n"));
    assert_eq!(master.calls(), ["offline master m3", "offline worker busy"]);
    // Both kinds, no kind, no name: nothing is sent.
    for words in [&["-m", "-w", "-n", "a"][..], &["-n", "a"], &["-m"]] {
        let words: Vec<&str> =
            ["--master-addr", &address, "offline-member"].iter().chain(words).copied().collect();
        assert_eq!(dmctl(&words).await.code, 1, "{words:?}");
    }
    assert_eq!(master.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn binlog_sends_what_was_typed_and_prints_rows() {
    let master = FakeMaster::default();
    let address = master.serve().await.to_string();
    let lines = "binlog skip t -b \"b.000001:4\" -s s1,s2\n\
                 binlog -b b.000001:4 skip t\n\
                 binlog replace t \"alter table a.b add c int; alter table a.b add d varchar(3) default ';'\" -s s1\n\
                 binlog inject t alter table a.b add c int;\n\
                 binlog revert t more words\n\
                 binlog list t\n\
                 handle-error t skip -b b.000001:4\n\
                 handle-error t replace drop table a.b\n\
                 handle-error t revert -s s1\n";
    let run = dmctl_with(&["--master-addr", &address], None, lines).await;
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
    assert_eq!(
        master.calls(),
        [
            "Skip t [\"s1\", \"s2\"] [b.000001:4] []",
            "Skip t [] [b.000001:4] []",
            "Replace t [\"s1\"] [] [\"alter table a.b add c int\", \"alter table a.b add d varchar(3) default ';'\"]",
            "Inject t [] [] [\"alter table a.b add c int\"]",
            "Revert t [] [] []",
            "List t [] [] []",
            "Skip t [] [b.000001:4] []",
            "Replace t [] [] [\"drop table a.b\"]",
            "Revert t [\"s1\"] [] []",
        ],
        "{}",
        run.out
    );
    let list = dmctl(&["--master-addr", &address, "binlog", "list", "t"]).await;
    assert_eq!(
        list.out,
        "{\n    \"result\": true,\n    \"msg\": \"\",\n    \"sources\": [\n        {\n            \"result\": true,\n            \
         \"msg\": \"[{\\\"op\\\":1,\\\"task\\\":\\\"t\\\",\\\"binlogPos\\\":\\\"(b.000001, 4)\\\"}]\",\n            \
         \"source\": \"mysql-replica-01\",\n            \"worker\": \"worker1\"\n        }\n    ]\n}\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn binlog_and_binlog_schema_refuse_what_makes_no_sense_before_anything_is_sent() {
    let master = FakeMaster::default();
    let address = master.serve().await.to_string();
    let file = std::env::temp_dir().join(format!("dmctl-wire-schema-{}.sql", std::process::id()));
    std::fs::write(&file, "CREATE TABLE t (id INT)").unwrap();
    let file = file.display().to_string();
    let all: &[&[&str]] = &[
        &["binlog", "skip", "t", "-b", "b.000001"],
        &["binlog", "skip", "t", "-b", "b.000001:x"],
        &["binlog", "replace", "t", ";"],
        &["binlog", "inject", "t", "alter table a.b comment 'x"],
        &["handle-error", "t", "inject", "x"],
        &["handle-error", "t", "skip", "drop table a.b"],
        &["handle-error", "t", "replace"],
        &["binlog-schema", "update", "t", "a", "b"],
        &["binlog-schema", "update", "t", "a", "b", "--from-source", "--from-target"],
        &["binlog-schema", "update", "t", "a", "b", &file, "--from-source"],
        &["binlog-schema", "update", "t", "a", "b", "/no/such/file"],
        &["operate-schema", "get", "t", "-d", "a", "-t", "b"],
        &["operate-schema", "get", "t", "-s", "s1", "-d", "a"],
        &["operate-schema", "set", "t", "-s", "s1", "-d", "a", "-t", "b"],
        &["operate-schema", "alter", "t", "-s", "s1", "-d", "a", "-t", "b"],
    ];
    for words in all {
        let run = dmctl_with(words, Some(&address), "").await;
        assert_eq!(run.code, 1, "{words:?} {}", run.out);
        assert!(run.err.starts_with("Error: "), "{words:?}: {}", run.err);
    }
    // Without a verb they print help, as DM does.
    for words in [&["binlog"][..], &["binlog-schema"]] {
        let run = dmctl_with(words, Some(&address), "").await;
        assert_eq!((run.code, run.out.contains("Usage")), (0, true), "{words:?} {} {}", run.out, run.err);
    }
    assert_eq!(master.calls(), Vec::<String>::new());
    let good: &[&[&str]] = &[
        &["binlog-schema", "list", "t", "a", "b", "-s", "s1"],
        &["binlog-schema", "update", "t", "a", "b", &file, "-s", "s1", "--sync=false"],
        &["binlog-schema", "update", "t", "a", "b", "--from-source", "-s", "s1"],
        &["binlog-schema", "delete", "t", "a", "b", "-s", "s1"],
        &["operate-schema", "set", "t", &file, "-s", "s1", "-d", "a", "-t", "b"],
    ];
    for words in good {
        let run = dmctl_with(words, Some(&address), "").await;
        assert_eq!(run.code, 0, "{words:?} {} {}", run.out, run.err);
    }
    assert_eq!(
        master.calls(),
        [
            "GetSchema t [\"s1\"] a.b [] flush=false sync=false from=falsefalse",
            "SetSchema t [\"s1\"] a.b [CREATE TABLE t (id INT)] flush=true sync=false from=falsefalse",
            "SetSchema t [\"s1\"] a.b [] flush=true sync=true from=truefalse",
            "RemoveSchema t [\"s1\"] a.b [] flush=false sync=false from=falsefalse",
            "SetSchema t [\"s1\"] a.b [CREATE TABLE t (id INT)] flush=true sync=true from=falsefalse",
        ]
    );
    std::fs::remove_file(&file).unwrap();
}
