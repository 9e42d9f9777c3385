#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>
#include <limits>
#include <list>
#include <utility>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "math/fold.hpp"
#include "optim/optimizer.hpp"
#include "role/assembly.hpp"
#include "role/council.hpp"
#include "role/inbox.hpp"
#include "role/link.hpp"
#include "role/messages.hpp"
#include "role/owner.hpp"
#include "role/tracker.hpp"
#include "sync/update.hpp"

using namespace dtrain;
using namespace dtrain::role;

namespace {

plan::Plan plan_of(job::OptimizerType type, std::int64_t workers, std::int64_t servers, bool keeps_going = false) {
  job::Job job;
  job.model.layers = {{.dense = 150}, {.dense = 70}, {.dense = 3}};
  job.topology.workers = workers;
  job.topology.servers = servers;
  job.train.optimizer.type = type;
  job.train.optimizer.weight_decay = 0.01;
  if (keeps_going) job.faults.on_worker_loss = job::OnWorkerLoss::keep_going;
  return plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, {1000, 0, "hash"}, 90);
}

std::vector<float> numbers(std::uint32_t which, Index count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = unit(draw(3, Purpose::fault, which, i)[0]) - 0.5f;
  return out;
}

Contribution contribution_of(const plan::Slice& slice, const std::vector<float>& gradient, float factor) {
  Contribution out{{}, factor};
  for (const plan::Piece& piece : slice.pieces) out.pieces.push_back(gradient.data() + piece.offset);
  return out;
}

std::vector<float> copy(const Arena& arena) { return {arena.span().begin(), arena.span().end()}; }

void start(Owner& owner, const std::vector<float>& weights) {
  const plan::Slice& slice = owner.slice();
  std::copy(weights.begin() + slice.begin, weights.begin() + slice.end, owner.current().weights.data());
}

}  // namespace

TEST_CASE("owners of slices together step as one owner of everything, to the bit") {
  using T = job::OptimizerType;
  for (const T type : {T::sgd, T::momentum, T::nesterov, T::adagrad, T::rmsprop, T::adam, T::adamw}) {
    const plan::Plan whole = plan_of(type, 3, 1), cut = plan_of(type, 3, 4);
    REQUIRE(cut.slices.size() == 4);
    const std::vector<float> weights = numbers(0, whole.layout.total);
    Owner one(whole, 0, 1);
    start(one, weights);
    std::list<Owner> many;
    for (int m = 0; m < 4; ++m) start(many.emplace_back(cut, m, 2), weights);
    for (std::uint32_t step = 1; step <= 3; ++step) {
      const std::vector<float> a = numbers(step, whole.layout.total), b = numbers(100 + step, whole.layout.total);
      const auto both = [&](const plan::Slice& slice) {
        return std::vector<Contribution>{contribution_of(slice, a, 0.25f), contribution_of(slice, b, 0.75f)};
      };
      CHECK_FALSE(one.step(both(one.slice()), 0.5f, 128 * step));
      for (Owner& owner : many) CHECK_FALSE(owner.step(both(owner.slice()), 0.5f, 128 * step));
    }
    std::vector<float> joined;
    for (Owner& owner : many)
      joined.insert(joined.end(), owner.current().weights.span().begin(), owner.current().weights.span().end());
    CHECK(joined == copy(one.current().weights));
    CHECK(joined != weights);
  }
}

TEST_CASE("a step taken layer by layer, in any order, has the bits of the step taken at once") {
  const plan::Plan plan = plan_of(job::OptimizerType::adamw, 1, 1);
  const std::vector<float> weights = numbers(0, plan.layout.total), gradient = numbers(1, plan.layout.total);
  Owner whole(plan, 0, 1), parts(plan, 0, 2);
  start(whole, weights), start(parts, weights);
  const std::vector<Contribution> one{contribution_of(whole.slice(), gradient, 1)};
  CHECK_FALSE(whole.step(one, 1, 128));
  parts.open(1, 128);
  for (const int layer : {2, 0, 1}) parts.step_layer(one, layer);
  CHECK_FALSE(parts.close());
  CHECK(copy(parts.current().weights) == copy(whole.current().weights));
  CHECK(copy(parts.current().moments[1]) == copy(whole.current().moments[1]));
}

TEST_CASE("the squares of the blocks are those of the folded gradient, whatever the slices") {
  const plan::Plan whole = plan_of(job::OptimizerType::sgd, 2, 1), cut = plan_of(job::OptimizerType::sgd, 2, 3);
  const std::vector<float> a = numbers(1, whole.layout.total), b = numbers(2, whole.layout.total);
  std::vector<double> joined;
  for (int m = 0; m < 3; ++m) {
    const Owner owner(cut, m, 1);
    const std::vector<Contribution> both{contribution_of(owner.slice(), a, 0.5f),
                                         contribution_of(owner.slice(), b, 0.5f)};
    for (const double sum : owner.squares(both)) joined.push_back(sum);
  }
  std::vector<float> folded(a.size());
  const std::vector<Share> shares{{a.data(), 0.5f}, {b.data(), 0.5f}};
  fold(shares, folded);
  std::vector<double> expected;
  for (std::size_t at = 0; at < folded.size(); at += static_cast<std::size_t>(block_weights))
    expected.push_back(sum_of_squares(std::span<const float>(folded).subspan(
        at, std::min(static_cast<std::size_t>(block_weights), folded.size() - at))));
  CHECK(joined == expected);
}

TEST_CASE("a gradient that is not finite publishes nothing and is told where it begins") {
  const plan::Plan plan = plan_of(job::OptimizerType::adam, 1, 1);
  Owner owner(plan, 0, 2);
  start(owner, numbers(0, plan.layout.total));
  const std::vector<float> before = copy(owner.current().weights);
  std::vector<float> gradient = numbers(1, plan.layout.total);
  gradient[9001] = std::numeric_limits<float>::infinity();
  gradient[20000] = std::nanf("");
  const auto bad = owner.step(std::vector<Contribution>{contribution_of(owner.slice(), gradient, 1)}, 1, 128);
  REQUIRE(bad);
  CHECK(*bad <= 9001);
  CHECK(9001 - *bad < block_weights);
  CHECK(copy(owner.current().weights) == before);
  CHECK(owner.current().updates == 0);
}

TEST_CASE("an undone step leaves weights, moments and counts as they were") {
  const plan::Plan plan = plan_of(job::OptimizerType::adam, 2, 2, true);
  REQUIRE(plan.undo_possible());
  Owner owner(plan, 1, 1);
  start(owner, numbers(0, plan.layout.total));
  const auto step = [&](std::uint32_t which) {
    const std::vector<float> gradient = numbers(which, plan.layout.total);
    REQUIRE_FALSE(owner.step(std::vector<Contribution>{contribution_of(owner.slice(), gradient, 1)}, 1, 128 * which));
  };
  step(1);
  const std::vector<float> weights = copy(owner.current().weights), moment = copy(owner.current().moments[0]);
  step(2);
  const std::vector<float> after = copy(owner.current().weights);
  CHECK(after != weights);
  owner.undo();
  CHECK(copy(owner.current().weights) == weights);
  CHECK(copy(owner.current().moments[0]) == moment);
  CHECK(owner.current().updates == 1);
  step(2);
  CHECK(copy(owner.current().weights) == after);
}

namespace {

/// A number that tells which piece of which arena it is of, and where in it.
float number_of(const plan::Slice& slice, std::size_t piece, Index at) {
  return static_cast<float>(piece * 1000 + slice.pieces.size()) + static_cast<float>(at % 997) / 1024;
}

/// `piece`: over all arenas that are exchanged.
wire::Message push_of(const plan::Slice& slice, std::size_t piece, std::uint64_t clock, std::uint64_t rows,
                      double loss = 0) {
  wire::Message message;
  message.header.type = wire::Type::push;
  message.header.clock = clock;
  message.header.rows = rows;
  if (rows == 0) return message;
  const plan::Piece& at = slice.pieces[piece % slice.pieces.size()];
  message.header.piece = static_cast<std::uint32_t>(piece);
  message.header.offset = static_cast<std::uint64_t>(at.offset);
  message.header.count = static_cast<std::uint64_t>(at.count);
  message.header.note = std::bit_cast<std::uint64_t>(loss);
  message.payload.rebuild(message.header.count * sizeof(float));
  for (Index k = 0; k < at.count; ++k) {
    const float value = number_of(slice, piece, k);
    std::memcpy(static_cast<std::byte*>(message.payload.data()) + static_cast<std::size_t>(k) * sizeof value, &value,
                sizeof value);
  }
  return message;
}

}  // namespace

TEST_CASE("a push is whole when each of its pieces is here, and a piece that comes twice counts once") {
  job::Job job;
  job.model.layers = {{.dense = 600}, {.dense = 10}};
  const plan::Plan plan = plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, {1000, 0, "hash"}, 900);
  const plan::Slice& slice = plan.slices.front();
  REQUIRE(slice.pieces.size() > 1);
  Inbox inbox(slice.pieces.size(), false);
  CHECK(inbox.add(slice, push_of(slice, 0, 7, 5)));
  CHECK_FALSE(inbox.add(slice, push_of(slice, 0, 7, 5)));
  CHECK_FALSE(inbox.add(slice, push_of(slice, 1, 6, 5)));
  CHECK_FALSE(inbox.add(slice, push_of(slice, 1, 7, 6)));
  CHECK(inbox.partial());
  wire::Message elsewhere = push_of(slice, 1, 7, 5);
  ++elsewhere.header.offset;
  CHECK_FALSE(inbox.add(slice, std::move(elsewhere)));
  for (std::size_t p = 1; p < slice.pieces.size(); ++p) CHECK(inbox.add(slice, push_of(slice, p, 7, 5)));
  CHECK(inbox.complete());
  CHECK(inbox.clock() == 7);
  CHECK(inbox.rows() == 5);
  inbox.clear();
  CHECK_FALSE(inbox.complete());
  CHECK(inbox.add(slice, push_of(slice, 0, 8, 0)));
  CHECK(inbox.complete());
}

TEST_CASE("pieces of a later step take the place of those of one that was given up, and older ones are refused") {
  job::Job job;
  job.model.layers = {{.dense = 900}, {.dense = 10}};
  const plan::Plan plan = plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, {1000, 0, "hash"}, 900);
  const plan::Slice& slice = plan.slices.front();
  const std::size_t pieces = slice.pieces.size();
  REQUIRE(pieces > 2);
  Inbox inbox(pieces, false);
  for (std::size_t p = 1; p < pieces; ++p) CHECK(inbox.add(slice, push_of(slice, p, 7, 5)));
  CHECK(inbox.add(slice, push_of(slice, 1, 9, 6)));
  CHECK(inbox.clock() == 9);
  CHECK(inbox.rows() == 6);
  CHECK_FALSE(inbox.add(slice, push_of(slice, 0, 7, 5)));
  CHECK_FALSE(inbox.add(slice, push_of(slice, 0, 8, 6)));
  CHECK_FALSE(inbox.add(slice, push_of(slice, 0, 8, 0)));
  CHECK(inbox.partial());
  for (std::size_t p = 0; p < pieces; ++p)
    if (p != 1) CHECK(inbox.add(slice, push_of(slice, p, 9, 6)));
  CHECK(inbox.complete());
  CHECK(inbox.add(slice, push_of(slice, 0, 10, 0)));
  CHECK(inbox.complete());
  CHECK(inbox.rows() == 0);
  CHECK_FALSE(inbox.add(slice, push_of(slice, 0, 10, 3)));
}

TEST_CASE("where several arenas are exchanged a push is whole with the pieces of all, each with its own numbers") {
  const plan::Plan plan = plan_of(job::OptimizerType::adam, 3, 2);
  const plan::Slice& slice = plan.slices[1];
  const std::size_t pieces = slice.pieces.size(), arenas = 3;
  Inbox inbox(arenas * pieces, false);
  for (std::size_t i = arenas * pieces; i-- > 0;) {
    CHECK_FALSE(inbox.complete());
    CHECK(inbox.add(slice, push_of(slice, i, 4, 2, 0.5 * static_cast<double>(i))));
    CHECK_FALSE(inbox.add(slice, push_of(slice, i, 4, 2)));
  }
  CHECK(inbox.complete());
  CHECK_FALSE(inbox.add(slice, push_of(slice, arenas * pieces, 4, 2)));
  const std::vector<const float*> floats = inbox.floats();
  REQUIRE(floats.size() == arenas * pieces);
  for (std::size_t i = 0; i < floats.size(); ++i) {
    CHECK(floats[i][0] == number_of(slice, i, 0));
    const Index last = slice.pieces[i % pieces].count - 1;
    CHECK(floats[i][last] == number_of(slice, i, last));
  }
}

TEST_CASE("the loss of a push is what its pieces say, and a push without rows has none") {
  const plan::Plan plan = plan_of(job::OptimizerType::sgd, 3, 1);
  const plan::Slice& slice = plan.slices.front();
  Inbox inbox(slice.pieces.size(), false);
  for (std::size_t p = 0; p < slice.pieces.size(); ++p) CHECK(inbox.add(slice, push_of(slice, p, 4, 2, 0.1)));
  CHECK(inbox.loss() == 0.1);
  inbox.clear();
  CHECK(inbox.add(slice, push_of(slice, 0, 5, 0)));
  CHECK(inbox.loss() == 0);
}

namespace {

std::uint64_t random_word(std::uint32_t which, std::uint32_t turn) {
  const auto bits = draw(17, Purpose::fault, which, turn);
  return ((std::uint64_t{bits[0]} << 32) | bits[1]) >> (bits[2] % 64);
}

Decision random_decision(std::uint32_t seed) {
  std::uint32_t turn = 0;
  const auto word = [&] { return random_word(seed, turn++); };
  const auto rank = [&] { return static_cast<sync::Rank>(word() % 10000); };
  Decision out;
  out.clock = word();
  out.save = word() % 2 == 0;
  for (std::uint64_t n = word() % 6; n > 0; --n) out.fold.push_back(rank());
  for (std::uint64_t n = word() % 6; n > 0; --n) out.release.push_back({rank(), word(), word()});
  for (std::uint64_t n = word() % 6; n > 0; --n) out.empty.push_back(rank());
  return out;
}

std::string with_word(std::string payload, std::size_t index, std::uint64_t word) {
  std::memcpy(payload.data() + index * sizeof word, &word, sizeof word);
  return payload;
}

}  // namespace

TEST_CASE("a decision reads back as it was written, and with anything more or less is refused") {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    const Decision decision = random_decision(seed);
    const std::string whole = pack(decision);
    const auto back = unpack_decision(whole);
    REQUIRE(back);
    CHECK(back->clock == decision.clock);
    CHECK(back->save == decision.save);
    CHECK(back->fold == decision.fold);
    CHECK(back->release == decision.release);
    CHECK(back->empty == decision.empty);
    for (std::size_t length = 0; length < whole.size(); ++length)
      CHECK_FALSE(unpack_decision(std::string_view(whole).substr(0, length)));
    for (const std::size_t more : {1, 8, 16, 24}) CHECK_FALSE(unpack_decision(whole + std::string(more, '\0')));
    const std::uint64_t counts[] = {decision.fold.size(), decision.release.size(), decision.empty.size()};
    for (std::size_t k = 0; k < 3; ++k)
      for (const std::uint64_t wrong : {counts[k] + 1, counts[k] - 1, ~std::uint64_t{0}, ~std::uint64_t{0} / 3 + 1})
        CHECK_FALSE(unpack_decision(with_word(whole, 2 + k, wrong)));
  }
}

TEST_CASE("what start, cut, changed and tally say arrives as it was said") {
  Start start;
  start.endpoints = {"ipc:///a", "tcp://b:1"};
  start.keys = {"", "k"};
  start.clocks = {7, ~std::uint64_t{0}};
  start.updates = 5;
  start.applied_rows = Index{1} << 40;
  start.memory = {0.1, -0.0, 1e-310, 1.7976931348623157e308};
  start.worklist = {0, -1, std::int64_t{1} << 62};
  start.own_updates = {3, ~std::uint64_t{0}};
  start.own_since = {{}, {64, 0.1}};
  start.active = {0, 2};
  start.epoch = 9;
  start.joins = true;
  const Start told = unpack_start(pack(start));
  CHECK(told.active == start.active);
  CHECK(told.epoch == 9);
  CHECK(told.joins);
  CHECK(told.endpoints == start.endpoints);
  CHECK(told.keys == start.keys);
  CHECK(told.clocks == start.clocks);
  CHECK(told.applied_rows == start.applied_rows);
  CHECK(told.memory == start.memory);
  CHECK(told.worklist == start.worklist);
  CHECK(told.own_updates == start.own_updates);
  CHECK(told.own_since == start.own_since);
  Cut cut{Cut::last_ordinal, false, true, true, true, 12, 1 << 20, {4, 5}, {0.3, 2}, {1, 2, 3}, {0, 3}};
  const auto seen = unpack_cut(pack(cut));
  REQUIRE(seen);
  CHECK(seen->ordinal == Cut::last_ordinal);
  CHECK(seen->save);
  CHECK(seen->last);
  CHECK_FALSE(seen->evaluate);
  CHECK(seen->own);
  CHECK(seen->updates == cut.updates);
  CHECK(seen->applied_rows == cut.applied_rows);
  CHECK(seen->clocks == cut.clocks);
  CHECK(seen->memory == cut.memory);
  CHECK(seen->worklist == cut.worklist);
  CHECK(seen->members == cut.members);
  cut.own = false;
  CHECK_FALSE(unpack_cut(pack(cut))->own);
  const auto changed = unpack_changed(pack(Changed{"staleness", 3, -1, 41}));
  REQUIRE(changed);
  CHECK(changed->what == "staleness");
  CHECK(changed->from == 3);
  CHECK(changed->to == -1);
  CHECK(changed->step == 41);
  Tally tally;
  tally.staleness = {1, 0, 2};
  tally.late = 5, tally.abandoned = 6, tally.rows_never_learned = 7;
  tally.bounds = {{"period", 4}, {"staleness", -2}};
  const auto counted = unpack_tally(pack(tally));
  REQUIRE(counted);
  CHECK(to_json(*counted) == to_json(tally));
  CHECK(counted->late == 5);
  CHECK(counted->abandoned == 6);
  CHECK(counted->rows_never_learned == 7);
  CHECK(counted->bounds == tally.bounds);
}

TEST_CASE("a message of control that lacks any one field, or has it of another kind, is refused") {
  const auto each_field = [](const std::string& text, auto refuses) {
    const Json whole = Json::parse(text);
    for (const auto& [key, value] : whole.items()) {
      CAPTURE(key);
      Json without = whole, other = whole;
      without.erase(key);
      other[key] = value.is_object() ? Json(3) : Json::object({{"x", "y"}});
      CHECK(refuses(without.dump()));
      CHECK(refuses(other.dump()));
    }
  };
  each_field(pack(Cut{}), [](const std::string& text) { return !unpack_cut(text); });
  each_field(pack(Changed{}), [](const std::string& text) { return !unpack_changed(text); });
  each_field(pack(Tally{}), [](const std::string& text) { return !unpack_tally(text); });
  const auto trusted = [](auto unpack) {
    return [unpack](const std::string& text) {
      try {
        unpack(text);
      } catch (const Error& error) {
        return error.kind() == Kind::internal;
      }
      return false;
    };
  };
  each_field(pack(Coming{}), trusted(unpack_coming));
  each_field(pack(Membership{}), trusted(unpack_membership));
  each_field(pack(Frozen{}), [](const std::string& text) { return !unpack_frozen(text); });
  each_field(pack(Start{}), [](const std::string& text) {
    try {
      unpack_start(text);
    } catch (const Error& error) {
      return error.kind() == Kind::internal;
    }
    return false;
  });
}

TEST_CASE("events of a trace read back as they were, and any cut of them or an event unknown is refused") {
  std::vector<sync::Event> events;
  for (std::uint32_t i = 0; i < 50; ++i) {
    const auto word = [&](std::uint32_t turn) { return random_word(1000 + i, turn); };
    events.push_back({static_cast<sync::Event::What>(i % 9), static_cast<int>(word(0) % 9),
                      static_cast<sync::Rank>(word(1) % 99), word(2), word(3), word(4)});
  }
  const std::string whole = pack(events);
  const auto back = unpack_traced(whole);
  REQUIRE(back);
  CHECK(*back == events);
  CHECK(unpack_traced("")->empty());
  for (std::size_t length = 0; length < whole.size(); ++length)
    CHECK(unpack_traced(std::string_view(whole).substr(0, length)).has_value() == (length % sizeof(sync::Event) == 0));
  events[7].what = static_cast<sync::Event::What>(9);
  CHECK_FALSE(unpack_traced(pack(events)));
}

namespace {

/// Server 0 and 1 of two (and one more that only tells), as far as they decide together.
struct Table {
  Table() { socket.bind("inproc://server-0"); }
  wire::Context context;
  wire::Socket socket{context, wire::Socket::Pattern::router, ""};
  Link link{context, {wire::Role::server, "inproc://coordinator", {}, false, {}, Seconds(60)}};
  std::deque<wire::Socket> none;
  Council first{link, 0, 3, 4, none};
};

wire::Message told(const sync::Push& push, std::uint32_t server) {
  wire::Message message;
  message.header.type = wire::Type::arrived;
  message.header.sender_role = wire::Role::server;
  message.header.sender_rank = server;
  message.header.clock = push.clock;
  message.header.rows = static_cast<std::uint64_t>(push.rank) + 1;
  message.header.count = push.rows;
  message.header.note = std::bit_cast<std::uint64_t>(push.loss);
  return message;
}

}  // namespace

TEST_CASE("a push counts when every server has it, whoever has it last, and who says so twice counts once") {
  for (std::uint32_t last = 0; last < 3; ++last) {
    CAPTURE(last);
    Table table;
    const sync::Push push{2, 7, 5, 0.25, 0};
    const auto arrives = [&](std::uint32_t server) {
      return server == 0 ? table.first.arrived(push) : table.first.take(told(push, server));
    };
    for (std::uint32_t server = 0; server < 3; ++server)
      for (int twice = 0; twice < 2; ++twice)
        if (server != last) CHECK_FALSE(arrives(server));
    const auto whole = arrives(last);
    REQUIRE(whole);
    CHECK(whole->rank == 2);
    CHECK(whole->clock == 7);
    CHECK(whole->rows == 5);
    CHECK(whole->loss == 0.25);
    for (std::uint32_t server = 0; server < 3; ++server) CHECK_FALSE(arrives(server));
  }
}

TEST_CASE("pushes of several ranks are counted apart, and one of an older step changes nothing") {
  Table table;
  const sync::Push older{1, 6, 5, 0, 0}, newer{1, 7, 5, 0, 0}, other{3, 7, 5, 0, 0};
  CHECK_FALSE(table.first.arrived(older));
  CHECK_FALSE(table.first.take(told(older, 1)));
  CHECK_FALSE(table.first.take(told(newer, 1)));  // the older one was given up
  CHECK_FALSE(table.first.take(told(older, 2)));
  CHECK_FALSE(table.first.take(told(other, 1)));
  CHECK_FALSE(table.first.arrived(newer));
  CHECK_FALSE(table.first.arrived(other));
  CHECK(table.first.take(told(newer, 2)));
  CHECK(table.first.take(told(other, 2)));
  table.first.forget(1);
  CHECK_FALSE(table.first.take(told(newer, 2)));
}

TEST_CASE("nobody but a server of the run can say that a push is here") {
  Table table;
  const sync::Push push{2, 7, 5, 0, 0};
  CHECK_FALSE(table.first.arrived(push));
  CHECK_FALSE(table.first.take(told(push, 1)));
  wire::Message worker = told(push, 2), stranger = told(push, 3), nobody = told(push, 2), beyond = told(push, 2);
  worker.header.sender_role = wire::Role::worker;
  nobody.header.rows = 0;
  beyond.header.rows = 5;
  for (const wire::Message* message : {&worker, &stranger, &nobody, &beyond}) CHECK_FALSE(table.first.take(*message));
  CHECK(table.first.take(told(push, 2)));
}

TEST_CASE("what another server tells of a push is what the first one reads") {
  Table table;
  std::deque<wire::Socket> others;
  others.emplace_back(table.context, wire::Socket::Pattern::dealer, "server-1");
  others.back().connect("inproc://server-0");
  Council second(table.link, 1, 2, 4, others);
  const sync::Push push{2, 7, 5, 0.1, 3.5};
  CHECK_FALSE(second.arrived(push));
  wire::Poller poller;
  poller.add(table.socket);
  std::optional<wire::Message> message;
  const Deadline deadline{Seconds(20)};
  while (!(message = table.socket.receive(0)) && !deadline.passed()) poller.wait(1000);
  REQUIRE(message);
  message->header.sender_rank = 1;
  CHECK_FALSE(second.take(*message));
  std::deque<wire::Socket> none;
  Council first(table.link, 0, 2, 4, none);
  CHECK_FALSE(first.arrived(push));
  const auto whole = first.take(*message);
  REQUIRE(whole);
  CHECK(whole->rank == 2);
  CHECK(whole->clock == 7);
  CHECK(whole->rows == 5);
  CHECK(whole->loss == 0.1);
}

namespace {

job::Sync sync_of(job::PolicyName policy) {
  job::Sync sync;
  sync.policy = policy;
  return sync;
}

plan::Plan plan_with(job::Sync sync, job::OptimizerType type, std::int64_t workers, std::int64_t servers) {
  job::Job job;
  job.model.layers = {{.dense = 150}, {.dense = 70}, {.dense = 3}};
  job.topology.workers = workers;
  job.topology.servers = servers;
  job.train.optimizer.type = type;
  job.sync = sync;
  return plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, {1000, 0, "hash"}, 90);
}

/// Snapshots of a run of three workers that step by themselves, piece by piece.
class Gathering {
 public:
  Gathering() : plan_(plan_with(sync_of(job::PolicyName::easgd), job::OptimizerType::adam, 3, 2)), assembly_(plan_) {}

  const plan::Plan& plan() const { return plan_; }
  Assembly& assembly() { return assembly_; }
  std::optional<Snapshot> take() { return assembly_.take(); }

  void add_servers(std::uint64_t ordinal, const std::vector<int>& members) { add_servers(ordinal, false, members); }
  void add_servers(std::uint64_t ordinal, bool last = false, const std::vector<int>& members = {}) {
    for (int m = 0; m < plan_.servers; ++m) {
      Cut cut;
      cut.ordinal = ordinal;
      cut.save = true, cut.last = last;
      cut.updates = 40;
      cut.applied_rows = 1280;
      cut.clocks = {10, 11, 12};
      cut.memory = {0.5};
      cut.members = members;
      assembly_.add(m, cut);
      for (int a = 0; a <= plan_.server_arenas(); ++a) add_pieces(m, a, ordinal, 0, weights_);
    }
  }
  void add_own_cut(int worker, std::uint64_t ordinal, std::uint64_t clock, bool last = false) {
    Cut cut;
    cut.ordinal = ordinal;
    cut.save = true, cut.last = last;
    cut.clocks = {clock, clock + 100};
    cut.memory = {double(clock), 0.25};
    assembly_.add_own(worker, cut);
  }
  /// Of the slices of the first `servers`.
  void add_own_pieces(int worker, std::uint64_t ordinal, int servers = 2) {
    for (int m = 0; m < servers; ++m)
      for (int a = 0; a <= plan_.worker_arenas(); ++a)
        add_pieces(m, a, ordinal, static_cast<std::uint64_t>(worker) + 1, own(worker, a));
  }
  void add_own(int worker, std::uint64_t ordinal, std::uint64_t clock, bool last = false) {
    add_own_cut(worker, ordinal, clock, last);
    add_own_pieces(worker, ordinal);
  }

  std::vector<float> weights() const { return weights_; }
  std::vector<float> own(int worker, int arena) const {
    return numbers(static_cast<std::uint32_t>(100 + 10 * worker + arena), plan_.layout.total);
  }

 private:
  void add_pieces(int server, int arena, std::uint64_t ordinal, std::uint64_t whose, const std::vector<float>& from) {
    for (const plan::Piece& piece : plan_.slices[static_cast<std::size_t>(server)].pieces) {
      wire::Message message;
      message.header.type = wire::Type::snapshot;
      message.header.sender_rank = static_cast<std::uint32_t>(server);
      message.header.slice = static_cast<std::uint32_t>(arena);
      message.header.clock = ordinal;
      message.header.rows = whose;
      message.header.offset = static_cast<std::uint64_t>(piece.offset);
      message.header.count = static_cast<std::uint64_t>(piece.count);
      message.payload.rebuild(from.data() + piece.offset, static_cast<std::size_t>(piece.count) * sizeof(float));
      CHECK(assembly_.add(message));
    }
  }
  plan::Plan plan_;
  Assembly assembly_;
  std::vector<float> weights_ = numbers(1, plan_.layout.total);
};

}  // namespace

TEST_CASE("a snapshot is whole only when each worker that steps by itself has added its own state") {
  Gathering run;
  run.add_own(1, 8, 20);
  run.add_servers(8);
  CHECK_FALSE(run.take());
  run.add_own_cut(0, 8, 21);
  run.add_own_pieces(2, 8);
  CHECK_FALSE(run.take());
  run.add_own_pieces(0, 8);
  CHECK_FALSE(run.take());
  run.add_own_cut(2, 8, 22);
  const auto snapshot = run.take();
  REQUIRE(snapshot);
  CHECK_FALSE(run.take());
  const store::State& state = snapshot->state;
  CHECK(state.clocks == std::vector<std::uint64_t>{21, 20, 22});
  CHECK(state.policy.at("own_updates") == Json({121, 120, 122}));
  CHECK(state.policy.at("own_since") == Json({{21.0, 0.25}, {20.0, 0.25}, {22.0, 0.25}}));
  CHECK(state.policy.at("memory") == Json({0.5}));
  CHECK(copy(state.weights) == run.weights());
  REQUIRE(state.own.size() == 3);
  for (int r = 0; r < 3; ++r) {
    const store::OwnState& own = state.own[static_cast<std::size_t>(r)];
    CHECK(copy(own.weights) == run.own(r, 0));
    REQUIRE(own.moments.size() == 2);
    CHECK(copy(own.moments[0]) == run.own(r, 1));
    CHECK(copy(own.moments[1]) == run.own(r, 2));
  }
}

TEST_CASE("a lost worker is not waited for, and begins again with the model's weights and no momentum") {
  enum class Added { nothing, cut, cut_and_a_part };
  for (const Added added : {Added::nothing, Added::cut, Added::cut_and_a_part}) {
    CAPTURE(static_cast<int>(added));
    Gathering run;
    run.add_servers(8);
    run.add_own(0, 8, 20);
    run.add_own(2, 8, 22);
    if (added != Added::nothing) run.add_own_cut(1, 8, 21);
    if (added == Added::cut_and_a_part) run.add_own_pieces(1, 8, 1);
    CHECK_FALSE(run.take());
    run.assembly().lose(1);
    const auto snapshot = run.take();
    REQUIRE(snapshot);
    const store::State& state = snapshot->state;
    REQUIRE(state.own.size() == 3);
    CHECK(state.clocks == std::vector<std::uint64_t>{20, 11, 22});
    CHECK(copy(state.own[1].weights) == run.weights());
    REQUIRE(state.own[1].moments.size() == 2);
    for (const Arena& moment : state.own[1].moments) {
      CHECK(moment.size() == run.plan().layout.total);
      CHECK(std::all_of(moment.span().begin(), moment.span().end(), [](float m) { return m == 0; }));
    }
    CHECK(copy(state.own[0].weights) == run.own(0, 0));
  }
}

TEST_CASE("a worker that takes a lost one's place adds to the snapshots that begin afterwards, and to no others") {
  Gathering run;
  run.add_servers(8);
  for (const int worker : {0, 2}) run.add_own(worker, 8, 20);
  run.assembly().lose(1);
  run.assembly().join(1);
  REQUIRE(run.take());  // it lacks what the lost one would have added
  run.add_servers(16);
  for (const int worker : {0, 2}) run.add_own(worker, 16, 24);
  CHECK_FALSE(run.take());
  run.add_own(1, 16, 24);
  const auto snapshot = run.take();
  REQUIRE(snapshot);
  CHECK(copy(snapshot->state.own[1].weights) == run.own(1, 0));
}

TEST_CASE("a snapshot waits for the workers that the servers asked for their state, and for nobody else") {
  Gathering run;
  run.add_servers(8, {0, 2});
  run.add_own(0, 8, 20);
  CHECK_FALSE(run.take());
  run.add_own(2, 8, 22);
  const auto snapshot = run.take();
  REQUIRE(snapshot);
  CHECK(snapshot->state.clocks == std::vector<std::uint64_t>{20, 11, 22});
  CHECK(copy(snapshot->state.own[1].weights) == run.weights());
}

TEST_CASE("a worker's last state drops the snapshots that it adds nothing to, and no others") {
  Gathering run;
  run.add_servers(8);
  run.add_own(0, 8, 20);
  run.add_servers(16);
  for (const int worker : {0, 1}) run.add_own(worker, 16, 24);
  run.add_own_cut(2, 16, 24);
  run.add_own(2, Cut::last_ordinal, 30, true);
  run.add_own(1, 8, 21);
  CHECK_FALSE(run.take());  // number 8 is no more; what it begins anew with is never whole
  run.add_own_pieces(2, 16);
  const auto kept = run.take();
  REQUIRE(kept);
  CHECK(kept->state.clocks == std::vector<std::uint64_t>{24, 24, 24});
  CHECK_FALSE(run.take());
  run.add_servers(Cut::last_ordinal, true);
  for (const int worker : {0, 1}) run.add_own(worker, Cut::last_ordinal, 30, true);
  const auto last = run.take();
  REQUIRE(last);
  CHECK(last->last);
  CHECK_FALSE(run.take());
}

TEST_CASE("pieces that belong to no server, worker or arena of the plan are refused") {
  Gathering run;
  wire::Message sound;
  sound.header.type = wire::Type::snapshot;
  sound.header.clock = 8;
  sound.header.count = 2;
  sound.header.rows = 3;
  sound.header.slice = 2;
  sound.payload.rebuild(8);
  const auto with = [&](auto change) {
    wire::Message message;
    message.header = sound.header;
    message.payload.rebuild(8);
    change(message.header);
    return run.assembly().add(message);
  };
  CHECK(with([](wire::Header&) {}));
  CHECK_FALSE(with([](wire::Header& h) { h.rows = 4; }));
  CHECK_FALSE(with([](wire::Header& h) { h.rows = ~std::uint64_t{0}; }));
  CHECK_FALSE(with([](wire::Header& h) { h.slice = 3; }));
  CHECK_FALSE(with([](wire::Header& h) { h.sender_rank = 2; }));
  CHECK_FALSE(with([](wire::Header& h) { h.type = wire::Type::load; }));
  CHECK_FALSE(with([&](wire::Header& h) { h.offset = static_cast<std::uint64_t>(run.plan().layout.total) - 1; }));
  CHECK_FALSE(with([](wire::Header& h) { h.rows = 0, h.slice = 1; }));  // an elastic centre has no moments
}

namespace {

/// What a rank pushes to this slice: arena after arena.
Contribution contribution_of(const plan::Slice& slice, std::initializer_list<const std::vector<float>*> arenas,
                             float factor) {
  Contribution out{{}, factor};
  for (const std::vector<float>* arena : arenas)
    for (const plan::Piece& piece : slice.pieces) out.pieces.push_back(arena->data() + piece.offset);
  return out;
}

std::vector<float> part_of(const plan::Slice& slice, const std::vector<float>& whole) {
  return {whole.begin() + slice.begin, whole.begin() + slice.end};
}

std::vector<float> folded(const std::vector<std::vector<float>>& given, const std::vector<float>& factors) {
  std::vector<Share> shares;
  for (std::size_t i = 0; i < given.size(); ++i) shares.push_back({given[i].data(), factors[i]});
  std::vector<float> out(given.front().size());
  fold(shares, out);
  return out;
}

const std::vector<float> factors{0.3f, 0.3f, 0.4f};

}  // namespace

TEST_CASE("an average is the fold of the weights, to the bit, and so are the moments' where they travel") {
  for (const auto momentum : {job::AverageMomentum::keep, job::AverageMomentum::average}) {
    job::Sync sync = sync_of(job::PolicyName::local);
    sync.momentum = momentum;
    const plan::Plan plan = plan_with(sync, job::OptimizerType::adam, 3, 2);
    const std::size_t arenas = momentum == job::AverageMomentum::average ? 3 : 1;
    REQUIRE(static_cast<std::size_t>(plan.exchanged_arenas()) == arenas);
    std::vector<std::vector<std::vector<float>>> pushed(arenas);  // arena, rank
    for (std::size_t a = 0; a < arenas; ++a)
      for (std::size_t r = 0; r < 3; ++r)
        pushed[a].push_back(numbers(static_cast<std::uint32_t>(10 * a + r), plan.layout.total));
    for (int m = 0; m < 2; ++m) {
      Owner owner(plan, m, 2);
      REQUIRE(owner.arenas() == arenas);
      start(owner, numbers(99, plan.layout.total));
      std::vector<Contribution> contributions;
      for (std::size_t r = 0; r < 3; ++r) {
        std::vector<const float*> pieces;
        for (std::size_t a = 0; a < arenas; ++a)
          for (const plan::Piece& piece : owner.slice().pieces) pieces.push_back(pushed[a][r].data() + piece.offset);
        contributions.push_back({pieces, factors[r]});
      }
      CHECK_FALSE(owner.step(contributions, 1, 128));
      for (std::size_t a = 0; a < arenas; ++a)
        CHECK(copy(owner.stored(a)) == part_of(owner.slice(), folded(pushed[a], factors)));
      CHECK(owner.current().updates == 1);
      CHECK(owner.current().applied_rows == 128);
    }
  }
}

TEST_CASE("a single push alone is the average, as it is") {
  job::Sync sync = sync_of(job::PolicyName::local);
  sync.momentum = job::AverageMomentum::average;
  const plan::Plan plan = plan_with(sync, job::OptimizerType::momentum, 1, 1);
  Owner owner(plan, 0, 1);
  const std::vector<float> weights = numbers(1, plan.layout.total), moment = numbers(2, plan.layout.total);
  CHECK_FALSE(owner.step(std::vector{contribution_of(owner.slice(), {&weights, &moment}, 1)}, 1, 128));
  CHECK(copy(owner.stored(0)) == weights);
  CHECK(copy(owner.stored(1)) == moment);
}

TEST_CASE("an elastic centre moves towards each push as it came, and what it was before is kept for the pusher") {
  job::Sync sync = sync_of(job::PolicyName::easgd);
  sync.alpha = 0.3;
  const plan::Plan plan = plan_with(sync, job::OptimizerType::momentum, 3, 2);
  std::vector<float> centre = numbers(9, plan.layout.total);
  Owner owner(plan, 1, 2);
  CHECK(owner.arenas() == 1);
  start(owner, centre);
  for (std::uint32_t push = 1; push < 4; ++push) {
    const std::vector<float> pushed = numbers(push, plan.layout.total);
    CHECK_FALSE(owner.step(std::vector{contribution_of(owner.slice(), pushed, 1)}, 1, 64 * push));
    CHECK(copy(owner.previous().weights) == part_of(owner.slice(), centre));
    std::vector<float> next(centre.size());
    sync::pull_centre({0.3f}, pushed, centre, next);
    centre = next;
    CHECK(copy(owner.current().weights) == part_of(owner.slice(), centre));
  }
}

TEST_CASE("of block momentum the model is what is stored first, and what is published is where the next block starts") {
  for (const auto momentum : {job::AverageMomentum::keep, job::AverageMomentum::average}) {
    job::Sync sync = sync_of(job::PolicyName::bmuf);
    sync.momentum = momentum;
    sync.block_momentum = 0.75;
    const plan::Plan plan = plan_with(sync, job::OptimizerType::momentum, 3, 2);
    const std::size_t travels = momentum == job::AverageMomentum::average ? 2 : 1, arenas = travels + 2;
    for (int m = 0; m < 2; ++m) {
      Owner owner(plan, m, 2);
      REQUIRE(owner.arenas() == arenas);
      const plan::Slice& slice = owner.slice();
      std::vector<float> model = part_of(slice, numbers(50, plan.layout.total)), begin = model;
      std::vector<float> change(model.size(), 0.0f);
      // As it is loaded at a start: the model, and the block's start in its place.
      std::copy(model.begin(), model.end(), owner.stored(0).data());
      std::copy(begin.begin(), begin.end(), owner.stored(arenas - 1).data());
      CHECK(copy(owner.current().weights) == begin);
      for (std::uint32_t block = 1; block < 4; ++block) {
        std::vector<std::vector<float>> weights, moments;
        std::vector<Contribution> contributions;
        for (std::uint32_t r = 0; r < 3; ++r) {
          weights.push_back(numbers(10 * block + r, plan.layout.total));
          moments.push_back(numbers(1000 + 10 * block + r, plan.layout.total));
        }
        for (std::size_t r = 0; r < 3; ++r)
          contributions.push_back(travels == 2 ? contribution_of(slice, {&weights[r], &moments[r]}, factors[r])
                                               : contribution_of(slice, {&weights[r]}, factors[r]));
        CHECK_FALSE(owner.step(contributions, 1, 128 * block));
        const std::vector<float> average = part_of(slice, folded(weights, factors));
        std::vector<float> next_begin(model.size()), next_change(model.size()), next_model(model.size());
        sync::step_block({0.75f, 1, true}, average, begin, change, model, next_begin, next_change, next_model);
        begin = next_begin, change = next_change, model = next_model;
        CHECK(begin != model);
        CHECK(copy(owner.stored(0)) == model);
        CHECK(copy(owner.stored(arenas - 1)) == begin);
        CHECK(copy(owner.stored(arenas - 2)) == change);
        CHECK(copy(owner.current().weights) == begin);
        if (travels == 2) CHECK(copy(owner.stored(1)) == part_of(slice, folded(moments, factors)));
      }
      CHECK(copy(owner.stored(owner.previous(), 0)) != model);
    }
  }
}

namespace {

plan::Plan compensated_plan(double lambda, bool adaptive) {
  job::Sync sync = sync_of(job::PolicyName::asp);
  sync.compensation = job::Compensation::delay;
  sync.lambda = lambda;
  sync.adaptive_lambda = adaptive;
  return plan_with(sync, job::OptimizerType::momentum, 2, 1);
}

}  // namespace

TEST_CASE("a delayed gradient is corrected from the weights that its rank holds, however many came between") {
  const double lambda = 0.5;
  const plan::Plan plan = compensated_plan(lambda, false);
  const plan::Plan simple = plan_with(sync_of(job::PolicyName::asp), job::OptimizerType::momentum, 2, 1);
  Owner owner(plan, 0, 1), expected(simple, 0, 1);
  const std::vector<float> weights = numbers(0, plan.layout.total);
  start(owner, weights), start(expected, weights);
  CHECK(owner.held(1) == nullptr);
  owner.hold(0), owner.hold(1);
  const auto push = [](Owner& to, const std::vector<float>& gradient, Age age) {
    REQUIRE_FALSE(to.step(std::vector{contribution_of(to.slice(), gradient, 1)}, 1, 128, age));
  };
  for (std::uint32_t step = 1; step < 6; ++step) {  // rank 0 goes on, rank 1 stays where it was
    const std::vector<float> gradient = numbers(step, plan.layout.total);
    push(owner, gradient, {1, owner.held(0)});
    push(expected, gradient, {});
    owner.hold(0);
    CHECK(copy(owner.current().weights) == copy(expected.current().weights));
  }
  REQUIRE(owner.held(1) != nullptr);
  CHECK(copy(owner.held(1)->weights) == weights);
  const std::vector<float> late = numbers(7, plan.layout.total);
  std::vector<float> corrected(late.size());
  sync::compensate_delay(static_cast<float>(lambda), late, owner.current().weights.span(), weights, corrected);
  CHECK(corrected != late);
  push(owner, late, {1, owner.held(1)});
  push(expected, corrected, {});
  CHECK(copy(owner.current().weights) == copy(expected.current().weights));
}

TEST_CASE("with a lambda of 0 a push has the bits of plain asp, whatever its delay") {
  for (const bool adaptive : {false, true}) {
    const plan::Plan plan = compensated_plan(0, adaptive);
    const plan::Plan simple = plan_with(sync_of(job::PolicyName::asp), job::OptimizerType::momentum, 2, 1);
    Owner owner(plan, 0, 2), plain(simple, 0, 1);
    CHECK(owner.arenas() == (adaptive ? 3 : 2));
    start(owner, numbers(0, plan.layout.total)), start(plain, numbers(0, plan.layout.total));
    owner.hold(0), owner.hold(1);
    for (std::uint32_t step = 1; step < 9; ++step) {
      const std::vector<float> gradient = numbers(step, plan.layout.total);
      const int rank = step % 3 == 0 ? 1 : 0;
      const std::vector one{contribution_of(owner.slice(), gradient, 1)};
      CHECK_FALSE(owner.step(one, 1, 128 * step, {1, owner.held(rank)}));
      CHECK_FALSE(plain.step(one, 1, 128 * step));
      owner.hold(rank);
      CHECK(copy(owner.current().weights) == copy(plain.current().weights));
      CHECK(copy(owner.current().moments[0]) == copy(plain.current().moments[0]));
    }
  }
}

TEST_CASE("the mean squares of an adaptive lambda go on from update to update") {
  const plan::Plan plan = compensated_plan(0.5, true);
  Owner owner(plan, 0, 1);
  start(owner, numbers(0, plan.layout.total));
  owner.hold(0);
  std::vector<float> squares(static_cast<std::size_t>(plan.layout.total), 0.0f);
  for (std::uint32_t step = 1; step < 5; ++step) {
    const std::vector<float> gradient = numbers(step, plan.layout.total), weights = copy(owner.current().weights);
    std::vector<float> next(squares.size()), out(squares.size());
    sync::compensate_delay(0.5f, gradient, weights, weights, squares, next, out);
    squares = next;
    CHECK_FALSE(owner.step(std::vector{contribution_of(owner.slice(), gradient, 1)}, 1, 128, {1, owner.held(0)}));
    CHECK(copy(owner.stored(2)) == squares);
  }
}

TEST_CASE("a staleness divides the learning rate and nothing else") {
  const plan::Plan plan = plan_with(sync_of(job::PolicyName::asp), job::OptimizerType::sgd, 2, 1);
  plan::Plan slower = plan;
  slower.job.train.optimizer.learning_rate /= 4;
  Owner owner(plan, 0, 1), expected(slower, 0, 1);
  start(owner, numbers(0, plan.layout.total)), start(expected, numbers(0, plan.layout.total));
  const std::vector<float> gradient = numbers(1, plan.layout.total);
  CHECK_FALSE(owner.step(std::vector{contribution_of(owner.slice(), gradient, 1)}, 1, 128, {0.25, nullptr}));
  CHECK_FALSE(expected.step(std::vector{contribution_of(expected.slice(), gradient, 1)}, 1, 128));
  CHECK(copy(owner.current().weights) == copy(expected.current().weights));
}

TEST_CASE("a worker that steps by itself has the bits of a run that is one process, whatever the policy") {
  using P = job::PolicyName;
  for (const P policy : {P::local, P::easgd, P::bmuf})
    for (const auto momentum : {job::AverageMomentum::keep, job::AverageMomentum::average})
      for (const auto type : {job::OptimizerType::sgd, job::OptimizerType::nesterov, job::OptimizerType::adamw}) {
        job::Sync sync = sync_of(policy);
        sync.momentum = momentum;
        const plan::Plan plan = plan_with(sync, type, 3, 2), alone = plan_with({}, type, 1, 0);
        Owner worker = Owner::of_worker(plan, 2);
        Owner solo(alone, 0, 1);
        CHECK(worker.arenas() == solo.arenas());
        CHECK(worker.slice().end == plan.layout.total);
        start(worker, numbers(0, plan.layout.total)), start(solo, numbers(0, plan.layout.total));
        for (std::uint32_t step = 1; step < 4; ++step) {
          const std::vector<float> gradient = numbers(step, plan.layout.total);
          const std::vector one{contribution_of(worker.slice(), gradient, 1)};
          worker.open(1, 128 * step);
          for (const int layer : {2, 1, 0}) worker.step_layer(one, layer);
          CHECK_FALSE(worker.close());
          CHECK_FALSE(solo.step(std::vector{contribution_of(solo.slice(), gradient, 1)}, 1, 128 * step));
          for (std::size_t a = 0; a < solo.arenas(); ++a) CHECK(copy(worker.stored(a)) == copy(solo.stored(a)));
        }
        CHECK(worker.current().updates == 3);
      }
}

TEST_CASE("control payloads read back as they were written, and anything else is refused") {
  const ProgressReport report{41, Phase::computing, {{39, 1.5, 32}, {40, 1.25, 32}}};
  const auto back = unpack_progress(pack(report));
  REQUIRE(back);
  CHECK(back->step == 41);
  CHECK(back->records.size() == 2);
  CHECK(back->records[1].loss_sum == 1.25);
  const std::string whole = pack(report);
  for (std::size_t length = 0; length < whole.size(); ++length)
    CHECK_FALSE(unpack_progress(std::string_view(whole).substr(0, length)));
  std::string unknown_phase = whole;
  unknown_phase[8] = 99;
  CHECK_FALSE(unpack_progress(unknown_phase));
  for (const char* text : {"", "{", "[]", "{}", "7", "null", R"({"role":"x"})"}) {
    CAPTURE(text);
    CHECK_FALSE(unpack_join(text));
    CHECK_FALSE(unpack_ready(text));
    CHECK_FALSE(unpack_cut(text));
    CHECK_FALSE(unpack_frozen(text));
    CHECK_FALSE(unpack_tally(text));
    CHECK_FALSE(unpack_failure(text));
    CHECK_FALSE(unpack_changed(text));
    CHECK_FALSE(unpack_decision(text));
  }
}

TEST_CASE("a failure is told whatever bytes it quotes, and nobody's failure becomes a success") {
  const auto told = unpack_failure(pack(Failure{4, "line 1: \xff is no number"}));
  REQUIRE(told);
  CHECK(told->code == 4);
  CHECK(told->message.ends_with(" is no number"));
  for (const int code : {0, -1, 11, 256, 1 << 20}) {
    CAPTURE(code);
    CHECK(unpack_failure(pack(Failure{code, ""}))->code == static_cast<int>(Kind::internal));
  }
}

TEST_CASE("a run that went back has counted what one that never did has counted") {
  const auto file = std::filesystem::temp_directory_path() / ("dtrain-tracker-" + hex(entropy()));
  plan::Plan plan = plan_of(job::OptimizerType::sgd, 2, 1);
  plan.job.output.log_every = 2;
  const auto step = [](Tracker& tracker, std::uint64_t clock) {
    for (const int rank : {0, 1}) tracker.record(rank, {clock, 1.0 / static_cast<double>(clock + 1), 5});
  };
  {
    report::MetricsFile metrics(file);
    report::Progress progress(report::Progress::Mode::none, false);
    Tracker whole(plan, metrics, progress), back(plan, metrics, progress);
    whole.begin({4, 4}, 40);
    for (std::uint64_t clock = 4; clock < 12; ++clock) step(whole, clock);
    back.begin({4, 4}, 40);
    for (std::uint64_t clock = 4; clock < 9; ++clock) step(back, clock);
    back.record(0, {9, 1, 5});
    back.drop(1);
    back.begin({6, 6}, 60);
    CHECK(back.slowest() == 6);
    CHECK(back.rows() == 20);
    for (std::uint64_t clock = 6; clock < 12; ++clock) step(back, clock);
    CHECK(back.slowest() == whole.slowest());
    CHECK(back.rows() == whole.rows());
    CHECK(back.rows() == 80);
    CHECK(back.train_loss().value() == doctest::Approx(whole.train_loss().value()));
  }
  std::filesystem::remove(file);
}

TEST_CASE("ranks may begin at different steps, and what a lost one still reports does not count") {
  const auto file = std::filesystem::temp_directory_path() / ("dtrain-tracker-" + hex(entropy()));
  {
    plan::Plan plan = plan_of(job::OptimizerType::sgd, 3, 1);
    plan.job.output.log_every = 1;
    report::MetricsFile metrics(file);
    report::Progress progress(report::Progress::Mode::none, false);
    Tracker tracker(plan, metrics, progress);
    tracker.begin({4, 2, 9}, 0);
    CHECK(tracker.slowest() == 2);
    tracker.record(2, {9, 1.0, 5});
    tracker.record(0, {3, 1.0, 5});
    CHECK(tracker.rows() == 5);
    tracker.record(0, {4, 1.0, 5});
    tracker.record(1, {2, 1.0, 5});
    CHECK(tracker.slowest() == 3);
    tracker.drop(1);
    tracker.record(1, {3, 1.0, 5});
    CHECK(tracker.rows() == 15);
    CHECK(tracker.slowest() == 5);
    CHECK(tracker.train_loss() == doctest::Approx(0.2));
  }
  std::filesystem::remove(file);
}

TEST_CASE("who takes a place reports from its first step on, be it one that others have told of") {
  const auto file = std::filesystem::temp_directory_path() / ("dtrain-tracker-" + hex(entropy()));
  {
    plan::Plan plan = plan_of(job::OptimizerType::sgd, 2, 1);
    plan.job.topology.max_workers = 3;
    plan.job.output.log_every = 1;
    report::MetricsFile metrics(file);
    report::Progress progress(report::Progress::Mode::none, false);
    Tracker tracker(plan, metrics, progress);
    tracker.begin({0, 0, 0}, 0);
    for (std::uint64_t step = 0; step < 5; ++step)
      for (int rank = 0; rank < 2; ++rank) tracker.record(rank, {step, 1.0, 5});
    CHECK(tracker.slowest() == 5);
    tracker.record(2, {0, 1.0, 5});
    CHECK(tracker.rows() == 50);
    tracker.join(2, 4);
    CHECK(tracker.slowest() == 4);
    tracker.record(2, {4, 1.0, 5});
    CHECK(tracker.rows() == 55);
    tracker.drop(1);
    tracker.join(1, 7);
    for (const int rank : {0, 2}) tracker.record(rank, {5, 1.0, 5});
    CHECK(tracker.slowest() == 6);
    CHECK(tracker.rows() == 65);
  }
  std::filesystem::remove(file);
}

namespace {

/// Listens on loopback and takes connections; whoever it takes, it turns away before a word was said.
class TurnsAway {
 public:
  TurnsAway() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 8) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    endpoint_ = fmt::format("tcp://127.0.0.1:{}", ntohs(address.sin_port));
  }
  ~TurnsAway() { close(); }
  TurnsAway(const TurnsAway&) = delete;
  TurnsAway& operator=(const TurnsAway&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  void take_one_and_close() {
    ::close(::accept(fd_, nullptr, nullptr));
    close();
  }

 private:
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int fd_;
  std::string endpoint_;
};

}  // namespace

TEST_CASE("who joins anew looks for a coordinator only for a moment, who joins first for all its patience") {
  for (const bool anew : {true, false}) {
    CAPTURE(anew);
    TurnsAway coordinator;
    wire::Context context;
    Link link(context, {wire::Role::worker, coordinator.endpoint(), {}, false, {}, Seconds(anew ? 60 : 4)}, {}, anew);
    coordinator.take_one_and_close();
    try {
      link.join();
      FAIL("it joined");
    } catch (const Error& error) {
      CHECK(error.kind() == (anew ? Kind::lost : Kind::formation));
    }
  }
}
