/// The judge of traces: what a policy did keeps the promise, and what was changed in one event does not.

#include <doctest/doctest.h>

#include <algorithm>

#include <fmt/format.h>

#include "base/file.hpp"
#include "law/world.hpp"

using namespace dtrain;
using law::Chance;
using sync::Event;
using What = sync::Event::What;

namespace {

struct Told {
  law::Schedule schedule;
  sync::TraceHead head;
  std::vector<Event> events;
};

/// The trace of a random schedule on one server.
Told tell_one(std::uint64_t seed, job::PolicyName policy) {
  const law::Story story = law::explore(law::draw_setting(seed, policy), law::make);
  law::World world(story.schedule, law::make);
  for (const law::Happening& happening : story.schedule.happenings) REQUIRE(world.happen(happening) == "");
  return {story.schedule, world.head(), world.events()};
}

std::optional<sync::Breach> judge(const Told& told) {
  return sync::find_breach(told.head, told.schedule.sync, told.schedule.seed, told.events);
}

/// Events of that kind which are certain to be missed: by a rank that is never lost, before any is.
std::vector<std::size_t> where(const Told& told, What what) {
  const auto is_lost = [](const Event& event) { return event.what == What::lose; };
  const auto calm = std::find_if(told.events.begin(), told.events.end(), is_lost);
  std::vector<std::size_t> out;
  for (auto event = told.events.begin(); event != calm; ++event) {
    // An answer to a pull lets nobody go on.
    if (event != told.events.begin() && (event - 1)->what == What::pull) continue;
    const auto loses_it = [&](const Event& other) { return is_lost(other) && other.rank == event->rank; };
    if (event->what == what && std::none_of(calm, told.events.end(), loses_it))
      out.push_back(static_cast<std::size_t>(event - told.events.begin()));
  }
  return out;
}

/// Two servers that do the same, their events mixed.
Told doubled(const Told& one, Chance& chance) {
  Told two = one;
  two.head.servers = 2;
  two.events.clear();
  for (std::size_t a = 0, b = 0; a < one.events.size() || b < one.events.size();) {
    const bool first = b == one.events.size() || (a < one.events.size() && chance.one_in(2));
    two.events.push_back(one.events[first ? a++ : b++]);
    two.events.back().server = first ? 0 : 1;
  }
  return two;
}

template <class Use>
void for_traces(std::uint64_t seeds, Use use) {
  for (const job::PolicyName policy : law::all_policies) {
    if (!law::is_chosen(policy)) continue;
    const std::uint64_t first = law::chosen_seed().value_or(1), last = law::chosen_seed().value_or(seeds);
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      const Told told = tell_one(seed, policy);
      INFO(law::describe(told.schedule));
      Chance chance(seed);
      use(told, chance);
    }
  }
}

using Spoil = std::function<void(Told&, std::size_t)>;

/// Something that an owner must not have done, by what is done to one event of such a kind.
void expect_breach(const Told& told, Chance& chance, What what, const Spoil& spoil) {
  const std::vector<std::size_t> places = where(told, what);
  if (places.empty()) return;
  const std::size_t place = chance.of(places);
  Told spoilt = told;
  spoil(spoilt, place);
  INFO(fmt::format("event {}: {}", place, sync::to_line(told.events[place])));
  const auto breach = judge(spoilt);
  REQUIRE(breach);
  CHECK_FALSE(breach->why.empty());
}

void leave_out(Told& told, std::size_t place) {
  told.events.erase(told.events.begin() + static_cast<std::ptrdiff_t>(place));
}
void say_twice(Told& told, std::size_t place) {
  const Event event = told.events[place];
  told.events.insert(told.events.begin() + static_cast<std::ptrdiff_t>(place), event);
}

}  // namespace

TEST_CASE("a trace reads back as it was written, line by line") {
  for_traces(20, [](const Told& told, Chance&) {
    const std::string path = fmt::format("law_trace_{}.jsonl", told.schedule.seed);
    std::string text = sync::to_line(told.head) + "\n";
    for (const Event& event : told.events) text += sync::to_line(event) + "\n";
    write_file(path, text);
    const sync::Trace back = sync::read_trace(path);
    fs::remove(path);
    CHECK(back.head == told.head);
    CHECK(back.events == told.events);
  });
}

TEST_CASE("what policies do keeps their promise, on one server and on two") {
  for_traces(100, [](const Told& told, Chance& chance) {
    CHECK_FALSE(judge(told));
    CHECK_FALSE(judge(doubled(told, chance)));
  });
}

TEST_CASE("an event left out of a trace is missed") {
  for_traces(100, [](const Told& told, Chance& chance) {
    // What is taken back may as well not have been.
    const auto is_undo = [](const Event& event) { return event.what == What::undo; };
    if (std::any_of(told.events.begin(), told.events.end(), is_undo)) return;
    expect_breach(told, chance, What::apply, leave_out);
    // A quorum does not wait for who has nothing to contribute, or has not come yet.
    if (told.schedule.sync.policy == job::PolicyName::quorum) return;
    expect_breach(told, chance, What::push, leave_out);
    expect_breach(told, chance, What::release, leave_out);
  });
}

TEST_CASE("an event that comes twice is noticed") {
  for_traces(100, [](const Told& told, Chance& chance) {
    for (const What what : {What::push, What::apply, What::release, What::join})
      expect_breach(told, chance, what, say_twice);
  });
}

TEST_CASE("an event of another version or step, or of a rank or server that there is not, is noticed") {
  const auto at = [](Told& told, std::size_t place) -> Event& { return told.events[place]; };
  for_traces(100, [at](const Told& told, Chance& chance) {
    for (const What what : {What::push, What::drop, What::apply, What::release, What::lose, What::join}) {
      expect_breach(told, chance, what, [at](Told& spoilt, std::size_t place) { at(spoilt, place).version += 1; });
      expect_breach(told, chance, what, [at](Told& spoilt, std::size_t place) { at(spoilt, place).rank = 1000; });
      expect_breach(told, chance, what, [at](Told& spoilt, std::size_t place) { at(spoilt, place).server = 1; });
    }
    for (const What what : {What::push, What::apply, What::release})
      expect_breach(told, chance, what, [at](Told& spoilt, std::size_t place) { at(spoilt, place).clock += 1; });
  });
}

TEST_CASE("a release that comes before the push or the application that it waits for is noticed") {
  for_traces(100, [](const Told& told, Chance& chance) {
    expect_breach(told, chance, What::release, [](Told& spoilt, std::size_t place) {
      const sync::Rank rank = spoilt.events[place].rank;
      std::size_t to = place;
      while (to > 0 && (spoilt.events[to].what != What::push || spoilt.events[to].rank != rank)) --to;
      Event early = spoilt.events[place];
      early.version = spoilt.events[to].version;
      leave_out(spoilt, place);
      spoilt.events.insert(spoilt.events.begin() + static_cast<std::ptrdiff_t>(to), early);
    });
  });
}

TEST_CASE("servers of a gated policy that take different pushes are told apart, though each keeps to the policy") {
  job::Sync sync;
  sync.policy = job::PolicyName::quorum;
  sync.quorum = 1;
  sync::TraceHead head;
  head.workers = head.servers = 2;
  head.total_steps = 1;
  head.clocks = {0, 0};
  std::vector<Event> events;
  for (const int server : {0, 1}) {
    events.push_back({What::push, server, server, 0, 0, 10});
    events.push_back({What::apply, server, server, 0, 1, 0});
    for (const sync::Rank rank : {0, 1}) events.push_back({What::release, server, rank, 1, 1, 0});
  }
  const auto breach = sync::find_breach(head, sync, 1, events);
  REQUIRE(breach);
  CHECK(breach->event == 5);
  for (Event& event : events) event.rank = event.what == What::release ? event.rank : 0;
  CHECK_FALSE(sync::find_breach(head, sync, 1, events));
}
