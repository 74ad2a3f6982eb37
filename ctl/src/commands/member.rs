//! `list-member`.

use super::Context;
use crate::args::ListMember;
use crate::client::CallOptions;
use crate::failure::Failure;
use crate::jsonpb;
use dm_proto::pb::ListMemberRequest;

pub(super) async fn list(context: &mut Context, args: ListMember) -> Result<String, Failure> {
    let ListMember { leader, master, worker, name: names } = args;
    let request = ListMemberRequest { leader, master, worker, names };
    let answer = context
        .masters
        .call(request, CallOptions::default(), async |mut c, r| c.list_member(r).await)
        .await?;
    jsonpb::print(&answer, "ListMemberResponse")
}
