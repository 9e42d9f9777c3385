/// A soak in virtual time: workers are lost and come back in the midst of everything, under every policy.
///
/// What came of each run is judged twice: by what its policy promises (sync/promise), and by a count of our own of
/// which pushes were answered and which were applied.

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "job/policy_spec.hpp"
#include "job/resolve.hpp"
#include "sim/engine.hpp"
#include "sim_support.hpp"
#include "sync/trace.hpp"

using namespace dtrain;

namespace {

constexpr int rounds = 120;
const char* const policies[] = {"bsp",      "asp",     "ssp:0",   "ssp:3",  "ssp:2:eager",  "quorum:2",
                                "subset:2", "local:3", "easgd:3", "bmuf:4", "adaptive:0-4", "adaptive:period:1-5"};

/// Draws of one run.
struct Chance {
  std::uint64_t seed;
  std::uint32_t run;
  std::uint32_t drawn = 0;
  double operator()(double below) { return below * unit(draw(seed, Purpose::fault, drawn++, run, 77)[0]); }
  int whole(int least, int most) { return least + static_cast<int>((*this)(most - least + 1)); }
  bool coin() { return (*this)(2) < 1; }
};

std::string compute_times(Chance& chance, int workers) {
  switch (chance.whole(0, 4)) {
    case 0: return "constant:1";
    case 1: return "exponential:1";
    case 2: return "pareto:0.6,2.5";
    case 3: return "two_point:0.8,8,0.1";
    default: return fmt::format("slow:1,4,{}", chance.whole(0, workers - 1));
  }
}

/// Some of those who may go are lost, once or several times; most of them come back but for the last time.
void draw_absences(Chance& chance, int stay, sim::Setting& setting) {
  for (int rank = stay; rank < setting.workers; ++rank) {
    double at = chance(60);
    for (int times = chance.whole(0, 3); times > 0; --times) {
      sim::Absence absence{rank, at, std::nullopt};
      if (times > 1 || chance.coin()) absence.until = at + 0.01 + chance(15);
      setting.absences.push_back(absence);
      if (!absence.until) break;
      at = *absence.until + 0.01 + chance(20);
    }
  }
}

sim::Setting draw_setting(Chance& chance, const std::string& policy) {
  sim::Setting setting;
  setting.workers = chance.coin() ? chance.whole(3, 6) : chance.whole(3, 20);
  setting.servers = chance.whole(1, 3);
  setting.steps = static_cast<sync::Clock>(chance.whole(20, 60));
  setting.seed = chance.seed + chance.run;
  setting.sync = job::resolve_sync(std::get<job::Sync>(job::parse_policy(policy, {})), setting.workers);
  setting.compute = std::get<job::Distribution>(job::parse_distribution(compute_times(chance, setting.workers)));
  setting.latency = chance.whole(0, 2) == 0 ? 0 : chance(0.8);
  setting.bandwidth = chance.coin() ? 0 : 50 + chance(1000);
  setting.slice_bytes.assign(static_cast<std::size_t>(setting.servers), 50);
  // quorum:2 and subset:2 need two who stay.
  draw_absences(chance, 2, setting);
  return setting;
}

/// Of each push that a server took: how often it is in an update, and whether its sender was answered.
class Books {
 public:
  void see(const sync::Event& event) {
    using What = sync::Event::What;
    const Place server{event.server, event.rank};
    switch (event.what) {
      case What::push: taken_[{event.server, event.rank, event.clock}] = {}; return;
      case What::apply:
        ++taken_[{event.server, event.rank, event.clock}].applied;
        if (event.version != newest_[event.server].version) newest_[event.server] = {event.version, {}};
        newest_[event.server].pushes.push_back({event.server, event.rank, event.clock});
        return;
      case What::undo: return take_back(event);
      case What::release: return answer(server, event.clock);
      case What::lose:
      case What::join: return forget(server);
      default: return;
    }
  }

  /// Answered, and not applied exactly once.
  int lost() const {
    int count = lost_;
    for (const auto& [key, entry] : taken_) count += entry.answered && entry.applied != 1;
    return count;
  }

 private:
  using Place = std::pair<int, sync::Rank>;
  using Key = std::tuple<int, sync::Rank, sync::Clock>;
  struct Entry {
    int applied = 0;
    bool answered = false;
  };
  struct Update {
    std::uint64_t version = 0;
    std::vector<Key> pushes;
  };

  void take_back(const sync::Event& event) {
    if (event.version >= newest_[event.server].version) return;  // the step that is taken back made no update
    for (const Key& key : newest_[event.server].pushes) --taken_[key].applied, taken_[key].answered = false;
    newest_[event.server].pushes.clear();
  }

  void answer(const Place& place, sync::Clock clock) {
    for (auto it = first_of(place); it != taken_.end() && is_of(it->first, place); ++it)
      if (std::get<2>(it->first) < clock) it->second.answered = true;
  }

  /// What it pushed in this life and was not answered may be in or out, as the others settle it.
  void forget(const Place& place) {
    for (auto it = first_of(place); it != taken_.end() && is_of(it->first, place); it = taken_.erase(it))
      if (it->second.applied > 1 || (it->second.answered && it->second.applied != 1)) ++lost_;
  }

  std::map<Key, Entry>::iterator first_of(const Place& place) {
    return taken_.lower_bound({place.first, place.second, 0});
  }
  static bool is_of(const Key& key, const Place& place) {
    return std::get<0>(key) == place.first && std::get<1>(key) == place.second;
  }

  std::map<Key, Entry> taken_;
  std::map<int, Update> newest_;
  int lost_ = 0;
};

struct Counts {
  int runs = 0, faults = 0, hangs = 0, lost = 0;
};

std::string told(const std::vector<sync::Event>& events, const sync::Breach& breach) {
  return (breach.event < events.size() ? to_line(events[breach.event]) : std::string("the end")) + ": " + breach.why;
}

void soak(const std::string& policy, Chance chance, Counts& counts) {
  const sim::Setting setting = draw_setting(chance, policy);
  CAPTURE(policy);
  CAPTURE(chance.seed);
  CAPTURE(chance.run);
  std::vector<sync::Event> events;
  Books books;
  sim::Engine engine(setting, nullptr, [&](const sync::Event& event) {
    events.push_back(event);
    books.see(event);
    const bool fault = event.what == sync::Event::What::lose || event.what == sync::Event::What::join;
    counts.faults += fault && event.server == 0;
  });
  ++counts.runs;
  try {
    engine.run();
  } catch (const Error& error) {
    ++counts.hangs;
    FAIL_CHECK(std::string(error.what()));
    return;
  }
  const auto breach = sim::test::find_breach(setting, events);
  CHECK_MESSAGE(!breach, (breach ? told(events, *breach) : ""));
  CHECK(books.lost() == 0);
  counts.lost += books.lost();
}

}  // namespace

TEST_CASE("whoever is lost and comes back, under every policy no run hangs and no answered push is lost or doubled") {
  const char* wanted = std::getenv("SOAK_SEED");
  const auto seed = static_cast<std::uint64_t>(parse_integer(wanted == nullptr ? "17" : wanted).value_or(17));
  Counts counts;
  for (std::uint32_t round = 0; round < rounds; ++round)
    for (const char* policy : policies) soak(policy, {seed, round}, counts);
  fmt::print("soak: {} runs, {} faults, {} hangs, {} lost updates (SOAK_SEED={})\n", counts.runs, counts.faults,
             counts.hangs, counts.lost, seed);
  CHECK(counts.faults > counts.runs);
}
