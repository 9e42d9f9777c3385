/// From what the policy orders to releases.

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "plan/packing.hpp"
#include "role/role.hpp"
#include "role/server_role.hpp"

namespace dtrain::role {

void Server::act(const sync::Actions& actions) {
  if (actions.change) {
    const sync::Change& change = *actions.change;
    tally_.bounds[change.what] = change.to;
    link_.send(wire::Type::changed, pack(Changed{change.what, change.from, change.to, change.clock}));
  }
  if (actions.fold.empty() && actions.release.empty() && actions.refresh.empty()) return;
  Update update;
  update.ranks = actions.fold;
  update.release = actions.release;
  update.refresh = actions.refresh;
  const bool single = !traits_.gated && !update.ranks.empty();
  update.clock = single ? inboxes_[static_cast<std::size_t>(update.ranks.front())].clock() : flight_.due;
  update.save = traits_.gated && save_after_ && update.clock >= *save_after_;
  update.key = {traits_.gated && !traits_.decided ? loss_epoch_ : 0,
                single ? static_cast<std::uint64_t>(update.ranks.front()) + 1 : 0, update.clock};
  if (decided_ && council_.decides())
    council_.announce({update.clock, update.save, update.ranks, update.release, empty_});
  empty_.clear();
  begin(std::move(update));
}

/// Server 0 has decided what is folded; all of it is here. What it decided after a loss waits until we are told of
/// that.
void Server::take_decided(wire::Message message) {
  if (message.header.epoch > link_.self().epoch) return early_.push_back(std::move(message));
  const auto decision = unpack_decision(message.text());
  const auto member = [this](int rank) { return rank >= 0 && rank < plan_.places(); };
  const auto whole = [&](int rank) { return member(rank) && inboxes_[static_cast<std::size_t>(rank)].complete(); };
  const bool known = decision && decided_ && !council_.decides() && message.header.sender_role == wire::Role::server &&
                     message.header.sender_rank == 0 &&
                     std::all_of(decision->fold.begin(), decision->fold.end(), whole) &&
                     std::all_of(decision->empty.begin(), decision->empty.end(), member) &&
                     std::all_of(decision->release.begin(), decision->release.end(),
                                 [&](const sync::Release& release) { return member(release.rank); });
  if (!known) return refuse(message.header);
  for (const int rank : decision->fold) ledger_.push(push_of(rank));
  for (const int rank : decision->empty) ledger_.push({rank, decision->clock, 0, 0, 0});
  log_changes(message.header.epoch);
  Update update;
  update.ranks = decision->fold;
  update.release = decision->release;
  update.clock = decision->clock;
  update.save = decision->save;
  update.key = {0, 0, update.clock};
  begin(std::move(update));
}

/// Without clipping an update is finished at once. With it, every server needs the sums of squares of all.
void Server::begin(Update update) {
  for (const int rank : update.ranks) update.rows += inboxes_[static_cast<std::size_t>(rank)].rows();
  for (const int rank : update.ranks) {
    const Inbox& inbox = inboxes_[static_cast<std::size_t>(rank)];
    const double share = static_cast<double>(inbox.rows()) / static_cast<double>(update.rows);
    update.contributions.push_back(
        {inbox.floats(), traits_.votes ? 1.0f : static_cast<float>(share), wanted_rows(rank, inbox.clock())});
  }
  if (clips() && !update.ranks.empty()) squares_.announce(update.key, owner_.squares(update.contributions));
  pending_.push_back(std::move(update));
  advance();
}

std::optional<float> Server::clip_factor(const Update& update) const {
  if (!clips() || update.ranks.empty()) return 1.0f;
  const std::optional<double> total = squares_.total(update.key);
  if (!total) return std::nullopt;
  return optim::clip_factor(plan_.job.train.clip_norm, *total);
}

/// In the order in which the policy wanted them.
void Server::advance() {
  while (!pending_.empty() && !unkept_) {
    const std::optional<float> factor = clip_factor(pending_.front());
    if (!factor) return;
    const std::vector<int>& ranks = pending_.front().ranks;
    const bool in_replay = replay_.gates() && !ranks.empty();
    if (in_replay && !replay_.allows_apply(ranks.front())) return;
    if (in_replay) replay_.done();
    Update update = std::move(pending_.front());
    pending_.pop_front();
    squares_.forget(update.key);
    finish(update, *factor);
  }
}

Index Server::applied_after(const Update& update) {
  if (traits_.gated && !traits_.folds_some) return division_.applied_before(static_cast<Index>(update.clock) + 1);
  return owner_.current().applied_rows + static_cast<Index>(update.rows);
}

void Server::apply(Update& update, float factor, Index after) {
  std::optional<Index> bad;
  {
    const Lap lap(busy_seconds_);
    const Age age =
        update.ranks.empty() ? Age{} : owner_.age(update.ranks.front(), ledger_.staleness(update.ranks.front()));
    bad = owner_.step(update.contributions, factor * owner_.rate_share(update.rows), after, age);
  }
  if (bad)
    fail(Kind::diverged,
         "the gradient of step {} is not finite from weight {} on; a lower train.optimizer.learning_rate "
         "or train.clip_norm may help",
         update.clock + 1, model::whole_place(plan_.layout, *bad));
  if (std::exchange(forked_, false)) owner_.current().changes.clear();
  if (update.ranks.empty()) return;
  std::vector<sync::Clock> clocks;
  for (const int rank : update.ranks) clocks.push_back(inboxes_[static_cast<std::size_t>(rank)].clock());
  ledger_.apply(update.ranks, clocks);
}

/// Where each rank goes on by itself, the coordinator says when to save (role/cut_gate.hpp).
Server::Due Server::due_after(const Update& update, Index before, Index after) const {
  if (after >= plan_.total_rows) return {};
  return {.evaluate = plan_.facts.test_rows > 0 && plan::due(plan_, plan_.job.train.evaluate, before, after),
          .save = update.save || (traits_.gated && plan::due(plan_, plan_.job.checkpoint.every, before, after))};
}

void Server::finish(Update& update, float factor) {
  Outcome outcome;
  outcome.stepped = !update.ranks.empty();
  if (traits_.gated || !update.ranks.empty()) {
    const Index before = owner_.current().applied_rows, after = applied_after(update);
    last_ = {!update.ranks.empty(), before, update.save};
    link_.begin_step(owner_.current().updates);
    apply(update, factor, after);
    ++updates_done_;
    tally_.rows += update.rows;
    forget_pushes(update);
    if (traits_.gated && !update.release.empty()) flight_ = update.release.front();
    if (update.save) save_after_.reset();
    outcome.due = due_after(update, before, after);
  }
  if (outcome.due.evaluate || outcome.due.save) outcome.ordinal = ordinal_of(outcome.due);
  if (outcome.due.save) ask_own_states(outcome.ordinal);
  tell_workers(update);
  outcome.release = std::move(update.release);
  outcome.refresh = std::move(update.refresh);
  standby_ ? keep(std::move(outcome)) : follow(outcome);
}

void Server::follow(Outcome& outcome) {
  // Who pulls at a centre must know where that was before.
  const bool elastic = plan_.job.sync.policy == job::PolicyName::easgd && outcome.stepped;
  release(outcome.release, elastic ? owner_.previous() : owner_.current());
  std::erase_if(outcome.refresh, [this](int rank) { return !members_[static_cast<std::size_t>(rank)].pulled; });
  send_weights(outcome.refresh, owner_.current(), Form::weights);
  if (outcome.due.evaluate || outcome.due.save) send_snapshot(outcome.due, outcome.ordinal, clocks_to_save());
  freeze_when_due();
}

/// With its next release every worker that keeps state of its own is told to add it to the snapshot.
void Server::ask_own_states(std::uint64_t ordinal) {
  for (Member& member : members_)
    if (plan_.workers_keep()) member.note = ordinal + 1;
}

/// What was folded is kept for one step where a loss may ask for it again, and given back to ZeroMQ otherwise.
void Server::forget_pushes(const Update& update) {
  for (std::size_t r = 0; r < inboxes_.size(); ++r) {
    if (!traits_.gated && static_cast<int>(r) != update.ranks.front()) continue;
    if (plan_.undo_possible()) std::swap(kept_[r], inboxes_[r]);
    inboxes_[r].clear();
  }
}

/// Under quorum everybody must know whose rows were learned, before the weights that they led to.
void Server::tell_workers(const Update& update) {
  if (!worklist_) return;
  worklist_->settle(update.ranks);
  decisions_.push_back({update.clock, false, update.ranks, {}, {}});
  for (const Member& member : members_)
    if (member.pulled && !member.lost) tell_decision(member, decisions_.back());
  if (std::all_of(members_.begin(), members_.end(), [](const Member& m) { return m.pulled || m.lost; }))
    decisions_.clear();
}

void Server::tell_decision(const Member& member, const Decision& decision) {
  wire::Header header;
  header.type = wire::Type::decided;
  header.clock = decision.clock;
  doors_[member.route.door].send(link_.self(), header, pack(decision), member.route.peer);
}

/// Whether a rank needs the weights of a step: it has rows in it, or it is the run's end. Where nobody waits for
/// others, a worker may hear of new shares before or after us, and gets them always; and where changes travel, nobody
/// can miss one.
bool Server::takes_part(int rank, sync::Clock clock) {
  if (plan::packs_changes(plan_)) return true;
  if (!traits_.gated || traits_.weights || traits_.abandons) return true;
  if (clock >= static_cast<sync::Clock>(plan_.total_steps) || traits_.folds_some) return true;
  return division_.count(static_cast<Index>(clock), rank) > 0;
}

/// At once or, in a replay, when the recording has it.
void Server::release(const std::vector<sync::Release>& releases, Version& version) {
  replay_.gates() ? replay_.hold(releases) : let_go(releases, version);
}

void Server::let_go(const std::vector<sync::Release>& releases, Version& version) {
  std::vector<int> ranks, newcomers;
  for (const sync::Release& released : releases) {
    Member& member = members_[static_cast<std::size_t>(released.rank)];
    if (member.lost) continue;
    member.gate = released;
    member.offered = false;
    if (!traits_.gated) flight_.clock = std::max(flight_.clock, released.clock);
    ledger_.release(released);
    const bool joins = std::exchange(member.joining, false);
    if (!member.pulled) continue;
    if (loaded_ < to_load_)
      await_load(released.rank);
    else
      (joins ? newcomers : ranks).push_back(released.rank);
  }
  send_release(ranks, version, version.changes.empty() ? Form::weights : Form::change);
  send_release(newcomers, version, Form::weights);
}

/// Who is released before the weights are all here is answered as one that pulls.
void Server::await_load(int rank) {
  if (std::count(waiting_pulls_.begin(), waiting_pulls_.end(), rank) == 0) waiting_pulls_.push_back(rank);
}

/// Tells ranks what they have been released into, with the weights where they need them.
void Server::send_release(const std::vector<int>& ranks, Version& version, Form form) {
  const Lap lap(communicate_seconds_);
  std::vector<int> readers;
  for (const int rank : ranks) {
    owner_.hold(rank);
    if (takes_part(rank, members_[static_cast<std::size_t>(rank)].gate.clock))
      readers.push_back(rank);
    else
      send_header(rank);
  }
  send_weights(readers, version, form);
}

/// Piece by piece to all, so that everybody can begin with the first layer.
void Server::send_weights(const std::vector<int>& readers, Version& version, Form form) {
  for (const int rank : readers)
    if (by_rows()) owner_.catch_up(wanted_rows(rank, members_[static_cast<std::size_t>(rank)].gate.clock));
  for (std::size_t a = 0; a < arenas_; ++a)
    for (std::size_t p = 0; p < owner_.slice().pieces.size(); ++p)
      for (const int rank : readers) send_piece(rank, a, p, version, form);
  for (const int rank : readers) members_[static_cast<std::size_t>(rank)].note = 0;
}

wire::Header Server::weights_header(const Member& member) const {
  wire::Header header;
  header.type = wire::Type::weights;
  header.clock = member.gate.clock;
  header.due = member.gate.due;
  header.rows = static_cast<std::uint64_t>(owner_.current().applied_rows);
  header.note = member.note;
  return header;
}

void Server::send_header(int rank) {
  Member& member = members_[static_cast<std::size_t>(rank)];
  doors_[member.route.door].send(link_.self(), weights_header(member), std::string_view(), member.route.peer);
  member.note = 0;
}

void Server::send_piece(int rank, std::size_t arena, std::size_t piece, Version& version, Form form) {
  const Member& member = members_[static_cast<std::size_t>(rank)];
  const plan::Slice& slice = owner_.slice();
  const plan::Piece& at = slice.pieces[piece];
  wire::Header header = weights_header(member);
  header.piece = static_cast<std::uint32_t>(arena * slice.pieces.size() + piece);
  header.pieces = static_cast<std::uint32_t>(arenas_ * slice.pieces.size());
  header.offset = static_cast<std::uint64_t>(at.offset);
  header.count = static_cast<std::uint64_t>(at.count);
  if (by_rows()) return send_copy(rank, header, at, version);
  if (form == Form::change) {
    header.codec = plan::codec_number(plan_.job);
    doors_[member.route.door].send(link_.self(), header, version.changes[piece], member.route.peer);
    return;
  }
  const Arena& values = arena == 0 ? version.weights : version.moments[arena - 1];
  doors_[member.route.door].send_floats(
      link_.self(), header,
      values.span().subspan(static_cast<std::size_t>(at.offset - slice.begin), static_cast<std::size_t>(at.count)),
      version.in_flight, member.route.peer);
}

}  // namespace dtrain::role
