#include "role/server.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/division.hpp"
#include "role/inbox.hpp"
#include "role/owner.hpp"
#include "role/role.hpp"
#include "role/squares.hpp"
#include "sync/policy.hpp"
#include "wire/security.hpp"

namespace dtrain::role {
namespace {

/// An update that the policy has ordered and that may still wait for other servers' sums of squares.
struct Update {
  std::vector<int> ranks;    ///< whose pushes are folded
  std::vector<int> release;  ///< who goes on afterwards
  std::vector<Contribution> contributions;
  std::uint64_t rows = 0;
  UpdateKey key;
};

class Server {
 public:
  Server(Link& link, const Welcome& welcome)
      : link_(link),
        plan_(plan_of(welcome)),
        rank_(welcome.rank),
        gated_(plan_.job.sync.policy == job::PolicyName::bsp),
        owner_(plan_, rank_, plan_.threads),
        squares_(link, rank_, plan_.servers),
        connections_(link.context(), Seconds(plan_.job.faults.join_within)),
        division_(plan_.job, plan_.facts.train_rows, everyone(plan_.workers)),
        inboxes_(static_cast<std::size_t>(plan_.workers), Inbox(owner_.slice().pieces.size())),
        kept_(inboxes_),
        members_(static_cast<std::size_t>(plan_.workers)) {
    open_doors(welcome);
  }

  const std::vector<std::string>& endpoints() const { return endpoints_; }
  void start(const Start& start);
  void serve();
  void say_goodbye();

 private:
  /// Who is answered where: by the data socket that it came by, under its identity there.
  struct Route {
    std::size_t door = 0;
    std::string peer;
  };
  struct Member {
    Route route;  ///< of its data connection, once it pulled
    bool lost = false, left = false;
    bool waits = false;        ///< pulled before the weights were loaded
    std::uint64_t pulled = 0;  ///< updates in the weights it got last
  };

  void open_doors(const Welcome& welcome);
  void pump(int timeout_ms);
  void take(wire::Message message, std::size_t door);
  void refuse(const wire::Header& header);
  void take_load(const wire::Message& message, std::size_t door);
  void take_pull(const wire::Message& message, std::size_t door);
  void take_push(wire::Message message);
  void take_leave(const wire::Message& message);
  void take_mark(const wire::Message& message);
  void take_squares(const wire::Message& message);
  void obey(const wire::Message& message);
  void freeze(int lost);
  void change_membership(const Membership& membership);
  void settle_late(const wire::Message& message);
  void act(const sync::Actions& actions);
  void begin(Update update);
  void advance();
  std::optional<float> clip_factor(const Update& update) const;
  void finish(Update& update, float factor);
  std::optional<Index> step_owner(const Update& update, float factor, Index after);
  void forget_pushes(const Update& update);
  void observe_staleness(const Update& update);
  void release(const std::vector<int>& ranks);
  void release_one(int rank, const plan::Piece& piece, std::size_t index);
  bool takes_part(int rank, std::uint64_t clock);
  void release_newly_needed(const Membership& membership);
  struct Wanted {
    bool evaluate = false, save = false, last = false, marked = false;
  };
  void send_snapshot(const Wanted& wanted);
  bool settled() const;
  bool clips() const { return plan_.job.train.clip_norm > 0; }
  std::uint64_t step() const { return updates_done_ + first_step_; }

  Link& link_;
  plan::Plan plan_;
  int rank_;
  bool gated_;
  Owner owner_;
  Squares squares_;
  Connections connections_;  ///< to the other servers
  data::Division division_;
  std::unique_ptr<wire::Authenticator> authenticator_;
  std::deque<wire::Socket> doors_;  ///< data: ipc for local readers, tcp for others
  std::vector<std::string> endpoints_;
  std::unique_ptr<sync::Policy> policy_;
  sync::Actions actions_;
  std::vector<Inbox> inboxes_, kept_;
  std::vector<Member> members_;
  std::deque<Update> pending_;
  Route coordinator_;
  std::size_t loaded_ = 0, to_load_ = 0;
  std::uint64_t first_step_ = 0, updates_done_ = 0;
  std::array<std::uint64_t, 8> snapshots_{};  ///< by kind
  std::optional<std::uint64_t> save_after_;   ///< the step marked last; it may be taken back and come again
  bool frozen_ = false, serving_ = true;
  double wait_seconds_ = 0, busy_seconds_ = 0, communicate_seconds_ = 0;
  Clock::time_point started_ = Clock::now();
  Tally tally_;
};

void Server::open_doors(const Welcome& welcome) {
  if (welcome.secure) authenticator_ = std::make_unique<wire::Authenticator>(link_.context());
  const wire::Keys keys = wire::binding_keys(link_.keys(), wire::Authenticator::listed_keys);
  for (const std::string& endpoint : welcome.bind) {
    const bool secure = welcome.secure && endpoint.starts_with("tcp://");
    doors_.emplace_back(link_.context(), wire::Socket::Pattern::router, "", secure ? &keys : nullptr);
    endpoints_.push_back(doors_.back().bind(endpoint));
  }
}

void Server::start(const Start& start) {
  for (const std::string& key : start.allowed)
    if (authenticator_) authenticator_->allow(key);
  policy_ = sync::make_policy(plan_.job.sync, start.clocks);
  first_step_ = start.clocks.front();
  owner_.current().updates = start.updates;
  owner_.current().applied_rows = start.applied_rows;
  if (clips()) squares_.connect(start, connections_);
  to_load_ = (1 + static_cast<std::size_t>(plan_.moments())) * owner_.slice().pieces.size();
}

void Server::serve() {
  started_ = Clock::now();
  while (serving_ && !settled()) pump(100);
  if (serving_) send_snapshot({.evaluate = true, .save = true, .last = true});
}

/// Nobody will push any more, and all that was pushed is decided: so every server ends with the same update. Workers
/// that are stopped at once may leave before all of the state that they would have worked on is here.
bool Server::settled() const {
  return loaded_ == to_load_ && !frozen_ && pending_.empty() &&
         std::all_of(members_.begin(), members_.end(), [](const Member& m) { return m.left || m.lost; });
}

void Server::pump(int timeout_ms) {
  {
    const Lap lap(wait_seconds_);
    wire::Poller poller;
    link_.watch(poller);
    for (wire::Socket& door : doors_) poller.add(door);
    if (authenticator_) poller.add(authenticator_->get());
    poller.wait(timeout_ms);
  }
  if (authenticator_) authenticator_->serve();
  connections_.check();
  while (const auto message = link_.receive()) obey(*message);
  const auto tell = [this](const std::string& why) { link_.tell_refusal(why); };
  for (std::size_t d = 0; d < doors_.size(); ++d)
    while (auto message = doors_[d].receive(link_.self().nonce, tell)) {
      take(std::move(*message), d);
      link_.beat(step(), Phase::folding);
    }
  link_.beat(step(), Phase::folding);
}

void Server::take(wire::Message message, std::size_t door) {
  switch (message.header.type) {
    case wire::Type::load: return take_load(message, door);
    case wire::Type::pull: return take_pull(message, door);
    case wire::Type::push: return take_push(std::move(message));
    case wire::Type::leave: return take_leave(message);
    case wire::Type::mark: return take_mark(message);
    case wire::Type::squares: return take_squares(message);
    default: refuse(message.header);
  }
}

void Server::refuse(const wire::Header& header) {
  ++tally_.refused;
  link_.tell_refusal(fmt::format("type {} from {} {}, clock {}, piece {} of {}: not what is due here",
                                 static_cast<int>(header.type), wire::name(header.sender_role), header.sender_rank,
                                 header.clock, header.piece, header.pieces));
}

void Server::take_load(const wire::Message& message, std::size_t door) {
  const wire::Header& header = message.header;
  Version& version = owner_.current();
  const plan::Slice& slice = owner_.slice();
  const auto begin = static_cast<std::uint64_t>(slice.begin), end = static_cast<std::uint64_t>(slice.end);
  const bool fits =
      header.slice <= version.moments.size() && header.offset >= begin && header.offset + header.count <= end;
  if (header.sender_role != wire::Role::coordinator || !fits || loaded_ == to_load_) return refuse(message.header);
  coordinator_ = {door, message.peer};
  Arena& arena = header.slice == 0 ? version.weights : version.moments[header.slice - 1];
  std::memcpy(arena.data() + (header.offset - begin), message.payload.data(), message.payload.size());
  if (++loaded_ < to_load_) return;
  std::vector<int> waiting;
  for (std::size_t r = 0; r < members_.size(); ++r)
    if (members_[r].waits) waiting.push_back(static_cast<int>(r));
  release(waiting);
}

void Server::take_pull(const wire::Message& message, std::size_t door) {
  const auto rank = static_cast<std::size_t>(message.header.sender_rank);
  if (rank >= members_.size() || members_[rank].lost) return refuse(message.header);
  members_[rank].route = {door, message.peer};
  if (loaded_ == to_load_)
    release({static_cast<int>(rank)});
  else
    members_[rank].waits = true;
}

void Server::take_push(wire::Message message) {
  const wire::Header header = message.header;
  const auto rank = static_cast<std::size_t>(header.sender_rank);
  if (rank >= members_.size() || members_[rank].lost || header.clock != policy_->next(static_cast<int>(rank)) ||
      !inboxes_[rank].add(owner_.slice(), std::move(message)))
    return refuse(header);
  if (!inboxes_[rank].complete() || frozen_) return;
  if (policy_->push(static_cast<int>(rank), header.clock, inboxes_[rank].rows(), actions_)) act(actions_);
}

void Server::take_leave(const wire::Message& message) {
  const auto rank = static_cast<std::size_t>(message.header.sender_rank);
  if (rank < members_.size()) members_[rank].left = true;
}

/// A checkpoint was asked for: one worker marks its step on every server, so that all save the same one.
void Server::take_mark(const wire::Message& message) {
  const std::uint64_t clock = message.header.clock;
  if (gated_)
    save_after_ = clock;
  else
    send_snapshot({.save = true, .marked = true});
}

void Server::take_squares(const wire::Message& message) {
  if (!squares_.take(message)) return refuse(message.header);
  if (!frozen_) advance();
}

void Server::act(const sync::Actions& actions) {
  Update update;
  update.ranks = actions.fold;
  update.release = actions.release;
  if (update.ranks.empty() && !gated_) {  // a push without rows
    for (const int rank : update.release) inboxes_[static_cast<std::size_t>(rank)].clear();
    return release(update.release);
  }
  if (update.ranks.empty() && update.release.empty()) return;
  update.key.epoch = gated_ ? link_.self().epoch : 0;
  update.key.clock = gated_ ? step() : inboxes_[static_cast<std::size_t>(update.ranks.front())].clock();
  update.key.pusher = gated_ ? 0 : static_cast<std::uint64_t>(update.ranks.front()) + 1;
  for (const int rank : update.ranks) update.rows += inboxes_[static_cast<std::size_t>(rank)].rows();
  for (const int rank : update.ranks) {
    const Inbox& inbox = inboxes_[static_cast<std::size_t>(rank)];
    update.contributions.push_back(
        {inbox.floats(), static_cast<float>(static_cast<double>(inbox.rows()) / static_cast<double>(update.rows))});
  }
  begin(std::move(update));
}

/// Without clipping an update is finished at once. With it, every server needs the sums of squares of all.
void Server::begin(Update update) {
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

void Server::advance() {
  for (auto it = pending_.begin(); it != pending_.end();) {
    const std::optional<float> factor = clip_factor(*it);
    if (!factor) {
      ++it;
      continue;
    }
    Update update = std::move(*it);
    it = pending_.erase(it);
    squares_.forget(update.key);
    finish(update, *factor);
  }
}

std::optional<Index> Server::step_owner(const Update& update, float factor, Index after) {
  const Lap lap(busy_seconds_);
  return owner_.step(update.contributions, factor, after);
}

void Server::finish(Update& update, float factor) {
  if (!gated_ && plan_.job.sync.rate == job::Rate::share)
    factor *= static_cast<float>(static_cast<double>(update.rows) / static_cast<double>(plan_.job.train.batch));
  const Index before = owner_.current().applied_rows;
  const Index after = gated_ ? division_.applied_before(static_cast<Index>(update.key.clock) + 1)
                             : before + static_cast<Index>(update.rows);
  if (!gated_) observe_staleness(update);
  if (const auto bad = step_owner(update, factor, after))
    fail(Kind::diverged,
         "the gradient of step {} is not finite from weight {} on; a lower train.optimizer.learning_rate "
         "or train.clip_norm may help",
         update.key.clock + 1, *bad);
  ++updates_done_;
  tally_.rows += update.rows;
  forget_pushes(update);
  release(update.release);
  const bool evaluate = plan_.facts.test_rows > 0 && plan::due(plan_, plan_.job.train.evaluate, before, after);
  const bool save = plan::due(plan_, plan_.job.checkpoint.every, before, after);
  const bool marked = save_after_ == update.key.clock;
  if ((evaluate || save || marked) && after < plan_.total_rows)
    send_snapshot({.evaluate = evaluate, .save = save || marked});
}

/// What was folded is kept for one step where a loss may ask for it again, and given back to ZeroMQ otherwise.
void Server::forget_pushes(const Update& update) {
  for (std::size_t r = 0; r < inboxes_.size(); ++r) {
    if (!gated_ && static_cast<int>(r) != update.ranks.front()) continue;
    if (plan_.undo_possible()) std::swap(kept_[r], inboxes_[r]);
    inboxes_[r].clear();
  }
}

void Server::observe_staleness(const Update& update) {
  const Member& member = members_[static_cast<std::size_t>(update.ranks.front())];
  const std::uint64_t staleness = owner_.current().updates - member.pulled;
  if (tally_.staleness.size() <= staleness) tally_.staleness.resize(staleness + 1);
  ++tally_.staleness[staleness];
}

/// The ranks that are left share the rows of the step in flight anew. One that had none of them got no weights for it.
void Server::release_newly_needed(const Membership& membership) {
  std::vector<int> idle;
  for (const int rank : membership.active)
    if (gated_ && step() > membership.step && !takes_part(rank, step())) idle.push_back(rank);
  division_.set_active(membership.active);
  std::erase_if(idle, [this](int rank) { return !takes_part(rank, step()); });
  release(idle);
}

/// Whether a rank needs the weights of a step: it has rows in it, or it is the run's end. Where nobody waits for
/// others, a worker may hear of new shares before or after us, and gets them always.
bool Server::takes_part(int rank, std::uint64_t clock) {
  return !gated_ || clock >= static_cast<std::uint64_t>(plan_.total_steps) ||
         division_.count(static_cast<Index>(clock), rank) > 0;
}

void Server::release(const std::vector<int>& ranks) {
  const Lap lap(communicate_seconds_);
  const std::vector<plan::Piece>& pieces = owner_.slice().pieces;
  std::vector<int> readers;
  for (const int rank : ranks) {
    members_[static_cast<std::size_t>(rank)].pulled = owner_.current().updates;
    if (takes_part(rank, policy_->next(rank)))
      readers.push_back(rank);
    else
      release_one(rank, {}, 0);
  }
  for (std::size_t p = 0; p < pieces.size(); ++p)
    for (const int rank : readers) release_one(rank, pieces[p], p);
}

void Server::release_one(int rank, const plan::Piece& piece, std::size_t index) {
  wire::Header header;
  header.type = wire::Type::weights;
  header.slice = static_cast<std::uint32_t>(rank_);
  header.clock = policy_->next(rank);
  header.rows = owner_.current().updates;
  header.piece = static_cast<std::uint32_t>(index);
  header.pieces = static_cast<std::uint32_t>(owner_.slice().pieces.size());
  header.offset = static_cast<std::uint64_t>(piece.offset);
  header.count = static_cast<std::uint64_t>(piece.count);
  const Route& route = members_[static_cast<std::size_t>(rank)].route;
  wire::Socket& door = doors_[route.door];
  if (piece.count == 0) return void(door.send(link_.self(), header, std::string_view(), route.peer));
  Version& version = owner_.current();
  const std::span<const float> values = std::as_const(version.weights)
                                            .span()
                                            .subspan(static_cast<std::size_t>(piece.offset - owner_.slice().begin),
                                                     static_cast<std::size_t>(piece.count));
  door.send_floats(link_.self(), header, values, version.in_flight, route.peer);
}

/// Snapshots of one state get the same number on every server: of a gated policy the update says which, of another
/// how many of that kind there were.
void Server::send_snapshot(const Wanted& wanted) {
  Version& version = owner_.current();
  const std::size_t kind = (wanted.marked ? 4u : 0u) + (wanted.save ? 2u : 0u) + (wanted.last ? 1u : 0u);
  const std::uint64_t count = gated_ ? version.updates : ++snapshots_[kind];
  Cut cut{count * 8 + kind, wanted.evaluate, wanted.save, wanted.last, version.updates, version.applied_rows, {}};
  // Of a gated policy, pushes that wait for others are no part of the state: they are made again on resuming.
  for (int rank = 0; rank < plan_.workers; ++rank) cut.clocks.push_back(gated_ ? step() : policy_->next(rank));
  link_.send(wire::Type::cut, pack(cut));
  const std::size_t arenas = wanted.save ? 1 + version.moments.size() : 1;
  for (std::size_t a = 0; a < arenas; ++a) {
    const std::span<const float> all =
        a == 0 ? std::as_const(version.weights).span() : std::as_const(version.moments[a - 1]).span();
    for (std::size_t p = 0; p < owner_.slice().pieces.size(); ++p) {
      const plan::Piece& piece = owner_.slice().pieces[p];
      wire::Header header;
      header.type = wire::Type::snapshot;
      header.slice = static_cast<std::uint32_t>(a);
      header.clock = cut.ordinal;
      header.piece = static_cast<std::uint32_t>(p);
      header.pieces = static_cast<std::uint32_t>(owner_.slice().pieces.size());
      header.offset = static_cast<std::uint64_t>(piece.offset);
      header.count = static_cast<std::uint64_t>(piece.count);
      doors_[coordinator_.door].send_floats(link_.self(), header,
                                            all.subspan(static_cast<std::size_t>(piece.offset - owner_.slice().begin),
                                                        static_cast<std::size_t>(piece.count)),
                                            version.in_flight, coordinator_.peer);
    }
  }
}

void Server::obey(const wire::Message& message) {
  switch (message.header.type) {
    case wire::Type::abort: fail(Kind::lost, "the coordinator ended the run");
    case wire::Type::lost: return freeze(static_cast<int>(message.header.rows));
    case wire::Type::membership: return change_membership(unpack_membership(message.text()));
    default: return;  // stop is for workers: they leave, and then so do we
  }
}

/// A worker is lost: nothing is applied until everybody agrees on what becomes of the step in flight.
void Server::freeze(int lost) {
  Member& member = members_.at(static_cast<std::size_t>(lost));
  member.lost = true;
  frozen_ = gated_;
  const auto r = static_cast<std::size_t>(lost);
  const bool ordered = !pending_.empty();  // the policy has ordered the step, but it waits for sums of squares
  const bool complete = ordered || inboxes_[r].complete();
  link_.send(wire::Type::frozen, pack(Frozen{step(), complete}));
}

void Server::change_membership(const Membership& membership) {
  link_.set_epoch(membership.epoch);
  frozen_ = false;
  const auto r = static_cast<std::size_t>(membership.lost);
  const bool undo = std::count(membership.undone.begin(), membership.undone.end(), rank_) > 0;
  if (!gated_) {
    if (inboxes_[r].partial()) ++tally_.torn;
    std::erase_if(pending_, [&](const Update& u) { return u.ranks.front() == membership.lost; });
    policy_->lose(membership.lost, false, actions_);
  } else if (undo || (!pending_.empty() && !membership.keep_pending)) {
    if (undo) owner_.undo(), --updates_done_, std::swap(inboxes_, kept_);
    for (const Update& update : pending_) squares_.forget(update.key);
    pending_.clear();
    division_.set_active(membership.active);
    policy_->undo(membership.lost, actions_);
    act(actions_);
  } else {
    const bool pending = !pending_.empty();
    if (!pending) division_.set_active(membership.active);
    policy_->lose(membership.lost, membership.keep_pending && !pending, actions_);
    act(actions_);
  }
  if (!membership.keep_pending) inboxes_[r].clear();
  release_newly_needed(membership);
  // Pushes that became whole while frozen.
  for (int rank = 0; gated_ && rank < plan_.workers; ++rank) {
    const Inbox& inbox = inboxes_[static_cast<std::size_t>(rank)];
    if (!inbox.complete() || members_[static_cast<std::size_t>(rank)].lost) continue;
    if (policy_->push(rank, inbox.clock(), inbox.rows(), actions_)) act(actions_);
  }
  advance();
}

/// A worker was lost after our last snapshot: other servers may still have its last step in flight.
void Server::settle_late(const wire::Message& message) {
  if (message.header.type == wire::Type::lost) {
    link_.send(wire::Type::frozen, pack(Frozen{step(), true}));
    return;
  }
  const Membership membership = unpack_membership(message.text());
  link_.set_epoch(membership.epoch);
  if (std::count(membership.undone.begin(), membership.undone.end(), rank_) > 0)
    fail(Kind::lost, "worker {} was lost when this server had saved a step that others cannot complete",
         membership.lost);
}

void Server::say_goodbye() {
  for (;;) {
    const wire::Message message = link_.await(step(), Phase::leaving);
    if (message.header.type == wire::Type::goodbye || message.header.type == wire::Type::abort) break;
    if (message.header.type == wire::Type::lost || message.header.type == wire::Type::membership) settle_late(message);
  }
  for (const wire::Socket& door : doors_) {
    tally_.payload_sent += door.counters().payload_sent;
    tally_.payload_received += door.counters().payload_received;
    tally_.wire_sent += door.counters().wire_sent;
    tally_.wire_received += door.counters().wire_received;
    tally_.refused += door.refused();
  }
  tally_.steps = updates_done_;
  tally_.compute_seconds = busy_seconds_;
  tally_.communicate_seconds = communicate_seconds_;
  tally_.wait_seconds = wait_seconds_;
  tally_.peak_bytes = peak_bytes();
  link_.send(wire::Type::left, pack(tally_));
}

}  // namespace

void run_server(const JoinRequest& request) {
  run_role(request, [](Link& link, const Welcome& welcome) {
    Server server(link, welcome);
    link.send(wire::Type::ready, pack(Ready{server.endpoints()}));
    server.start(await_start(link));
    server.serve();
    server.say_goodbye();
  });
}

}  // namespace dtrain::role
