/// What a server tells its standby, and what that makes of it.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "base/random.hpp"
#include "role/assembly.hpp"
#include "role/keep.hpp"
#include "role/owner.hpp"

using namespace dtrain;
using namespace dtrain::role;

namespace {

plan::Plan plan_of(job::PolicyName policy, std::int64_t servers = 2) {
  job::Job job;
  job.model.layers = {{.dense = 1500}, {.dense = 700}, {.dense = 3}};
  job.topology.workers = 3;
  job.topology.servers = servers;
  job.faults.replicas = 1;
  job.sync.policy = policy;
  job.train.optimizer.type = job::OptimizerType::momentum;
  return plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, {1000, 0, "hash"}, 90);
}

/// Pushes of a random rank's next clock, and what a second policy that is told the same has then.
void follow(const job::Sync& sync, std::uint64_t seed) {
  const sync::Setup setup{
      .seed = 7, .total_steps = 40, .single_until = 0, .clocks = {0, 0, 0}, .memory = {}, .absent = {}};
  const auto first = sync::make_policy(sync, setup), second = sync::make_policy(sync, setup);
  sync::Actions actions, again;
  Keep keep;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const auto random = draw(seed, Purpose::fault, 0, i);
    const auto rank = static_cast<sync::Rank>(random[0] % 3);
    const sync::Push push{rank, first->released(rank).due, random[1] % 4, unit(random[2]), 0};
    if (first->push(push, actions) != sync::Verdict::taken) continue;
    keep.pushes.push_back(push);
    if (actions.release.empty() && actions.fold.empty()) continue;
    const auto heard = unpack_keep(pack(keep));
    REQUIRE(heard);
    for (const sync::Push& told : heard->pushes) CHECK(second->push(told, again) == sync::Verdict::taken);
    CHECK(again.release == actions.release);
    for (sync::Rank r = 0; r < 3; ++r) CHECK(second->released(r) == first->released(r));
    keep.pushes.clear();
  }
}

wire::Message piece_of(const plan::Piece& piece, int server, std::uint64_t ordinal, std::uint32_t epoch, float value) {
  wire::Message message;
  message.header.type = wire::Type::snapshot;
  message.header.sender_rank = static_cast<std::uint32_t>(server);
  message.header.epoch = epoch;
  message.header.clock = ordinal;
  message.header.offset = static_cast<std::uint64_t>(piece.offset);
  message.header.count = static_cast<std::uint64_t>(piece.count);
  const std::vector<float> values(static_cast<std::size_t>(piece.count), value);
  message.payload.rebuild(values.data(), values.size() * sizeof(float));
  return message;
}

Cut cut_of(std::uint64_t ordinal) {
  Cut cut;
  cut.ordinal = ordinal;
  cut.evaluate = true;
  cut.clocks = {1, 1, 1};
  return cut;
}

/// A server's part of a snapshot for which only weights are needed.
void add_part(Assembly& assembly, const plan::Plan& plan, int server, std::uint64_t ordinal, std::uint32_t epoch,
              float value) {
  for (const plan::Piece& piece : plan.slices[static_cast<std::size_t>(server)].pieces)
    assembly.add(piece_of(piece, server, ordinal, epoch, value));
}

}  // namespace

TEST_CASE("what is told of an update is read as it was, losses that are no numbers too") {
  Keep keep;
  keep.pushes = {{2, 7, 5, 0.1, 3.5}, {0, 8, 0, std::numeric_limits<double>::quiet_NaN(), 1e300}};
  keep.stepped = keep.save = true;
  keep.updates = 9, keep.applied_rows = 77, keep.steps = 11, keep.ordinal = 99;
  keep.evaluations = 3;
  keep.save_after = 4;
  keep.ledger = {12, {3, 4, 5}, {6, 0, 1}};
  for (int what = 0; what <= static_cast<int>(sync::Event::What::cut); ++what)
    keep.events.push_back({static_cast<sync::Event::What>(what), 1, 2, 3, 4, 5});
  const auto read = unpack_keep(pack(keep));
  REQUIRE(read);
  REQUIRE(read->pushes.size() == 2);
  CHECK(read->pushes[0].loss == 0.1);
  CHECK(read->pushes[0].now == 3.5);
  CHECK(std::isnan(read->pushes[1].loss));
  CHECK(read->pushes[1].clock == 8);
  CHECK((read->stepped && read->save && !read->evaluate));
  CHECK(read->updates == 9);
  CHECK(read->applied_rows == 77);
  CHECK(read->steps == 11);
  CHECK(read->ordinal == 99);
  CHECK(read->evaluations == keep.evaluations);
  CHECK(read->save_after == 4);
  CHECK(read->ledger.version == 12);
  CHECK(read->ledger.pulled == keep.ledger.pulled);
  CHECK(read->ledger.histogram == keep.ledger.histogram);
  CHECK(read->events == keep.events);
  for (const char* bad : {"", "{}", "[1]", R"({"pushes": [[1]]})"}) CHECK_FALSE(unpack_keep(bad));
}

TEST_CASE("a policy that is told what another took is where that is, whoever waits for whom") {
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    CAPTURE(seed);
    for (const auto policy : {job::PolicyName::bsp, job::PolicyName::asp, job::PolicyName::ssp, job::PolicyName::local,
                              job::PolicyName::bmuf, job::PolicyName::easgd, job::PolicyName::subset}) {
      job::Sync sync;
      sync.policy = policy;
      sync.period = 5, sync.staleness = 2, sync.size = 2;
      follow(sync, seed);
    }
  }
}

TEST_CASE("a version that another owner made is the current one, and the one before stays for who is owed it") {
  const plan::Plan plan = plan_of(job::PolicyName::easgd);
  Owner owner(plan, 1, 1);
  std::fill(owner.current().weights.span().begin(), owner.current().weights.span().end(), 1.0f);
  for (int update = 2; update < 6; ++update) {
    Version& received = owner.receive();
    std::fill(received.weights.span().begin(), received.weights.span().end(), static_cast<float>(update));
    owner.adopt(received, static_cast<std::uint64_t>(update), 10 * update);
    CHECK(owner.current().weights.data()[0] == static_cast<float>(update));
    CHECK(owner.current().applied_rows == 10 * update);
    if (update < 4) owner.keep_answer(update - 2, true);
  }
  owner.keep_answer(2, false);
  CHECK(owner.take_answer(0).weights.data()[0] == 1);
  CHECK(owner.take_answer(1).weights.data()[0] == 2);
  CHECK(owner.take_answer(2).weights.data()[0] == 5);
  CHECK(owner.take_answer(0).weights.data()[0] == 5);
}

TEST_CASE("what a lost server had sent of a snapshot counts where it is whole, and what it lacked may be sent again") {
  const plan::Plan plan = plan_of(job::PolicyName::bsp);
  Assembly assembly(plan);
  for (const std::uint64_t ordinal : {9u, 17u, 25u}) {
    assembly.add(0, cut_of(ordinal));
    add_part(assembly, plan, 0, ordinal, 0, 1);
  }
  assembly.add(1, cut_of(9));  // of which no numbers came
  assembly.add(1, cut_of(17));
  add_part(assembly, plan, 1, 17, 0, 3);
  const auto whole = assembly.take();
  REQUIRE(whole);
  CHECK(whole->ordinal == 17);
  add_part(assembly, plan, 1, 25, 0, 4);  // of which nothing was said yet
  assembly.replace(1, 1);
  const std::vector<std::uint64_t> known = assembly.known(1);
  CHECK(std::count(known.begin(), known.end(), 17) == 1);
  CHECK(std::count(known.begin(), known.end(), 25) == 0);
  add_part(assembly, plan, 1, 25, 0, 4);  // what was still on its way
  add_part(assembly, plan, 1, 33, 0, 4);
  assembly.add(1, cut_of(25));
  CHECK_FALSE(assembly.take());
  add_part(assembly, plan, 1, 25, 1, 5);
  const auto again = assembly.take();
  REQUIRE(again);
  CHECK(again->ordinal == 25);
  CHECK(again->state.weights.data()[plan.slices[1].begin] == 5);
  CHECK_FALSE(assembly.take());  // number 9, which is older, never comes
}

TEST_CASE("a cut that a lost server took with it is not looked for on the others, and one that both have is compared") {
  const sync::TraceHead head{"", 2, 2, 40, 0, {0, 0}, {}};
  job::Sync sync;
  sync.policy = job::PolicyName::asp;
  const auto cut = [](int server, int rank, sync::Clock clock, std::uint64_t ordinal) {
    return sync::Event{sync::Event::What::cut, server, rank, clock, 0, ordinal};
  };
  std::vector<sync::Event> events{cut(0, 0, 0, 10), cut(0, 1, 0, 10), cut(0, 0, 0, 18),
                                  cut(0, 1, 0, 18), cut(1, 0, 0, 18), cut(1, 1, 0, 18)};
  CHECK_FALSE(sync::find_breach(head, sync, 1, events));
  std::vector<sync::Event> twice = events;
  twice.insert(twice.end(), {cut(1, 0, 0, 18), cut(1, 1, 0, 18)});
  CHECK(sync::find_breach(head, sync, 1, twice)->why == "the cut of ordinal 18 is told of twice");
  std::vector<sync::Event> mixed = events;
  mixed.back().rows = 26;
  CHECK(sync::find_breach(head, sync, 1, mixed)->why == "a cut tells of rank 1 where rank 1 of ordinal 18 is due");
}
