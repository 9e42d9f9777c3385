/// What --chaos does to the run, as its coordinator hears of it and does it.

#include "role/coordinator_role.hpp"

namespace dtrain::role {

/// A member is about to make a fault.
void Coordinator::note_chaos(const Member& member, const wire::Message& message) {
  const auto confession = unpack_confession(message.text());
  if (!confession) return;
  course_.note_chaos(member.role, member.rank, confession->fault, confession->step);
  if (confession->waits) doors_.send(member.address, wire::Type::chaos, {});
}

/// Messages of a member were lost on their way to us, and with them what it would have had us do.
void Coordinator::miss(const wire::Message& message, Member& member) {
  if (message.missing > 0 && member.present())
    lose(member, fmt::format("sent {} message{} that did not come", message.missing, message.missing == 1 ? "" : "s"));
}

}  // namespace dtrain::role
