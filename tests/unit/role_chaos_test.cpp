#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/random.hpp"
#include "role/chaos.hpp"
#include "role/chaos_spec.hpp"

using namespace dtrain;
using namespace dtrain::role;

namespace {

using Action = Fault::Action;
using wire::Role;

std::string refusal(const std::string& text, const Cast* cast = nullptr) {
  try {
    const ChaosSpec spec = parse_chaos(text);
    if (cast != nullptr) resolve(spec, *cast);
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::usage);
    return error.what();
  }
  return "";
}

Fault only(const std::string& text) {
  const ChaosSpec spec = parse_chaos(text);
  REQUIRE(spec.faults.size() == 1);
  return spec.faults.front();
}

/// Steps, counted from 1, at which something is due in a life of a role.
std::vector<std::uint64_t> due_steps(const std::string& text, Role role, int rank, int life,
                                     std::uint64_t steps = 1000) {
  FaultClock clock(parse_chaos(text), role, rank, life);
  std::vector<std::uint64_t> due;
  for (std::uint64_t step = 0; step < steps; ++step)
    if (!clock.begin(step).empty()) due.push_back(step + 1);
  return due;
}

using Steps = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("an item of --chaos is action, who, when and how, and what is left out is drawn or has a default") {
  CHECK(only("kill:worker.1@40") == Fault{Action::kill, Role::worker, 1, 40});
  CHECK(only("stop:server.0@~0.01") == Fault{Action::stop, Role::server, 0, 0, 0.01});
  CHECK(only("delay:worker.*@~0.05:20ms") == Fault{Action::delay, Role::worker, Fault::every, 0, 0.05});
  CHECK(only("delay:worker.*:1.5 s").delay == Seconds(1.5));
  CHECK(only("duplicate:server@9:3") == Fault{Action::duplicate, Role::server, Fault::drawn, 9, 0, Seconds(0.02), 3});
  CHECK(only("disk@2") == Fault{Action::disk, Role::coordinator, 0, 2});
  CHECK(only("disk") == Fault{Action::disk, Role::coordinator, 0, 1});
  CHECK(only("kill:coordinator@50") == Fault{Action::kill, Role::coordinator, 0, 50});
  CHECK(only("kill") == Fault{});
  CHECK(parse_chaos(" kill , cut:worker.1@30, seed=7 ").seed == 7u);
  CHECK(parse_chaos("kill,cut:worker.1@30").faults.size() == 2);
}

TEST_CASE("whatever is wrong with --chaos is told with item, value and remedy") {
  CHECK(refusal("kil:worker.1@40") ==
        "--chaos: item 1, 'kil:worker.1@40': there is no fault 'kil', did you mean kill?; there are kill, stop, delay, "
        "drop, duplicate, cut, disk");
  CHECK(refusal("kill@4,drop:loader.1") ==
        "--chaos: item 2, 'drop:loader.1': 'loader' is nobody: say worker, worker.1, worker.*, server.0 or "
        "coordinator");
  CHECK(refusal("kill:worker.x") ==
        "--chaos: item 1, 'kill:worker.x': 'x' is no rank: say worker.0, worker.* for all of them or worker.? for one "
        "that is drawn");
  CHECK(refusal("kill@0") ==
        "--chaos: item 1, 'kill@0': '0' is no step: steps count from 1; @40, or @~0.01 for a probability a step");
  CHECK(refusal("kill@~1.5") ==
        "--chaos: item 1, 'kill@~1.5': '~1.5' is no probability a step: say ~0.01, above 0 and at most 1");
  CHECK(refusal("delay@4:20") ==
        "--chaos: item 1, 'delay@4:20': '20' is no time to keep messages for: say 20ms or 1s, "
        "at most 3600 s");
  CHECK(refusal("drop@4:0") == "--chaos: item 1, 'drop@4:0': '0' is no count of messages: say 1 to 1000000");
  CHECK(refusal("kill@4:2s") ==
        "--chaos: item 1, 'kill@4:2s': kill takes no ':2s'; a time goes with delay, a count with drop and duplicate");
  CHECK(refusal("disk:worker.1").find("checkpoints are written by the coordinator") != std::string::npos);
  CHECK(refusal("cut:coordinator@4").find("the coordinator can only be killed") != std::string::npos);
  CHECK(refusal("seed=x") == "--chaos: item 1, 'seed=x': 'x' is no seed: say seed=7");
  CHECK(refusal("seed=1,seed=2") == "--chaos: item 2, 'seed=2': the seed is given twice");
  for (const char* text : {"", "kill,,drop", "kill:", "kill@", "drop@4:", "kill:worker.", "kill:worker.-1", "seed=-1",
                           "delay@4:-2s", "delay@4:2h", "kill@~0", "kill@~nan", "kill:worker.1@40@41", "kill:a:b:c"})
    CHECK_MESSAGE(!refusal(text).empty(), text);
}

TEST_CASE("a role that the run does not have suffers nothing, and the refusal says which it has") {
  const Cast cast{4, 2, false, 100, 5}, ring{3, 0, false, 100, 5}, alone{1, 0, true, 100, 5};
  CHECK(refusal("kill:worker.4", &cast) ==
        "--chaos: item 1, 'kill:worker.4': there is no worker 4: this run has 0 to 3");
  CHECK(refusal("kill@3,stop:server.0@4", &ring) == "--chaos: item 2, 'stop:server.0@4': this run has no servers");
  CHECK(refusal("drop@3", &alone).find("this run is one process") != std::string::npos);
  CHECK(refusal("kill:worker.0@3,disk,kill:coordinator@2", &alone).empty());
}

TEST_CASE("what is written of any faults is read back as they were, before and after they are resolved") {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    ChaosSpec spec;
    for (std::uint32_t k = 0; k <= seed % 3; ++k) {
      const Block draws = draw(seed, Purpose::fault, k, 1), more = draw(seed, Purpose::fault, k, 2);
      Fault fault{static_cast<Action>(draws[0] % 6), draws[1] % 2 == 0 ? Role::worker : Role::server,
                  static_cast<int>(draws[2] % 6) - 2};
      if (draws[3] % 3 == 0) fault.step = 1 + more[0] % 100;
      if (draws[3] % 3 == 1) fault.probability = (1 + more[0] % 1000) / 1000.0;
      if (fault.action == Action::delay) fault.delay = Seconds((1 + more[1] % 5000) / 1000.0);
      if (fault.action == Action::drop || fault.action == Action::duplicate)
        fault.count = 1 + static_cast<int>(more[2] % 3);
      spec.faults.push_back(fault);
    }
    if (seed % 2 == 0) spec.seed = seed;
    CAPTURE(to_text(spec));
    CHECK(parse_chaos(to_text(spec)) == spec);
    const ChaosSpec resolved = resolve(spec, {4, 4, false, 60, 9});
    CHECK(parse_chaos(to_text(resolved)) == resolved);
    CHECK(resolved.seed == spec.seed.value_or(9));
    for (const Fault& fault : resolved.faults) {
      CHECK(fault.rank != Fault::drawn);
      CHECK(fault.rank < 4);
      CHECK((fault.step > 0) != (fault.probability > 0));
    }
  }
}

TEST_CASE("who and when are drawn from the seed: the same for the same, and any of them for some seed") {
  std::set<int> ranks;
  std::set<std::uint64_t> steps;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const ChaosSpec one = resolve(parse_chaos("kill"), {3, 1, false, 10, seed});
    CHECK(one == resolve(parse_chaos("kill,seed=" + std::to_string(seed)), {3, 1, false, 10, 99}));
    ranks.insert(one.faults.front().rank);
    steps.insert(one.faults.front().step);
  }
  CHECK(ranks == std::set<int>{0, 1, 2});
  CHECK(steps.size() == 10);
  CHECK(*steps.begin() == 1);
  CHECK(*steps.rbegin() == 10);
}

TEST_CASE("a fault at a step is due when that step begins, once, also where it is passed over or comes again") {
  CHECK(due_steps("kill:worker.1@40", Role::worker, 1, 0) == Steps{40});
  CHECK(due_steps("kill:worker.1@40", Role::worker, 0, 0).empty());
  CHECK(due_steps("kill:worker.1@40", Role::server, 1, 0).empty());
  CHECK(due_steps("kill:worker.*@1", Role::worker, 17, 3) == Steps{1});
  FaultClock clock(parse_chaos("drop:worker.1@40"), Role::worker, 1, 0);
  CHECK(clock.begin(30).empty());
  CHECK(clock.begin(44).size() == 1);
  for (const std::uint64_t step : {39, 40, 44, 45}) CHECK(clock.begin(step).empty());
  FaultClock late(parse_chaos("drop:worker.1@40"), Role::worker, 1, 0);
  CHECK(late.begin(50).empty());  // a run that goes on from there
}

TEST_CASE("a fault with a probability comes about as often, differently for each rank, life, item and seed") {
  const auto steps = [](const std::string& text, int rank, int life) {
    return due_steps(text, Role::worker, rank, life, 20000);
  };
  const Steps due = steps("drop:worker.*@~0.05,seed=3", 1, 0);
  CHECK(due.size() > 850);
  CHECK(due.size() < 1150);
  CHECK(due == steps("drop:worker.*@~0.05,seed=3", 1, 0));
  CHECK(due != steps("drop:worker.*@~0.05,seed=3", 2, 0));
  CHECK(due != steps("drop:worker.*@~0.05,seed=3", 1, 1));
  CHECK(due != steps("drop:worker.*@~0.05,seed=4", 1, 0));
  CHECK(due != steps("duplicate:worker.*@~0.05,seed=3", 1, 0));
  CHECK(steps("drop:worker.*@~1", 0, 0).size() == 20000);
}

TEST_CASE("a fault at a step that was done is not done again in the next life of its role, and all others are") {
  ChaosBook book(parse_chaos("kill:worker.1@40,kill:worker.*@60,drop:worker.1@~0.1,stop:server.0@5,seed=3"));
  int life = -1;
  CHECK(book.begin_life(Role::worker, 1, life) == "kill:worker.1@40,kill:worker.*@60,drop:worker.1@~0.1,seed=3");
  CHECK(life == 0);
  book.note_done(Role::worker, 1, "drop:worker.1@~0.1");
  book.note_done(Role::worker, 1, "kill:worker.1@40");
  CHECK(book.begin_life(Role::worker, 1, life) == "kill:worker.*@60,drop:worker.1@~0.1,seed=3");
  CHECK(life == 1);
  book.note_done(Role::worker, 1, "kill:worker.*@60");
  CHECK(book.begin_life(Role::worker, 0, life) == "kill:worker.*@60,seed=3");
  CHECK(life == 0);
  CHECK(book.begin_life(Role::server, 1, life).empty());
  CHECK(book.begin_life(Role::loader, 0, life).empty());
  CHECK(book.not_done() == std::vector<std::string>{"stop:server.0@5"});
}
