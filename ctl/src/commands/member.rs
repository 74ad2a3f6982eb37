//! `list-member` and `offline-member`.

use super::Context;
use crate::args::{ListMember, OfflineMember};
use crate::client::CallOptions;
use crate::failure::Failure;
use crate::jsonpb;
use dm_proto::pb::{ListMemberRequest, OfflineMemberRequest};

pub(super) async fn list(context: &mut Context, args: ListMember) -> Result<String, Failure> {
    let ListMember { leader, master, worker, name: names } = args;
    let request = ListMemberRequest { leader, master, worker, names };
    let answer = context
        .masters
        .call(request, CallOptions::default(), async |mut c, r| c.list_member(r).await)
        .await?;
    jsonpb::print(&answer, "ListMemberResponse")
}

/// Unlike other commands it fails, with exit code 1, when the masters refuse.
pub(super) async fn offline(context: &mut Context, args: OfflineMember) -> Result<String, Failure> {
    let kind = if args.master { "master" } else { "worker" };
    let request = OfflineMemberRequest { r#type: kind.to_owned(), name: args.name };
    let answer = context
        .masters
        .call(request, CallOptions::default(), async |mut c, r| c.offline_member(r).await)
        .await?;
    if !answer.result {
        return Err(Failure::message(format!("offline member failed:{}", answer.msg)));
    }
    jsonpb::print(&answer, "OfflineMemberResponse")
}
