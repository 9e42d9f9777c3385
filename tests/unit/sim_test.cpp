#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/random.hpp"
#include "data/data.hpp"
#include "job/policy_spec.hpp"
#include "job/resolve.hpp"
#include "plan/plan.hpp"
#include "sim/engine.hpp"
#include "sim/report.hpp"
#include "sim/training.hpp"
#include "sim_support.hpp"
#include "store/checkpoint.hpp"
#include "sync/trace.hpp"

using namespace dtrain;
using doctest::Approx;

namespace {

job::Distribution distribution(const std::string& text) {
  return std::get<job::Distribution>(job::parse_distribution(text));
}

sim::Setting setting_of(const std::string& policy, int workers, sync::Clock steps, const std::string& compute) {
  sim::Setting setting;
  setting.sync = job::resolve_sync(std::get<job::Sync>(job::parse_policy(policy, {})), workers);
  setting.workers = workers;
  setting.steps = steps;
  setting.compute = distribution(compute);
  setting.slice_bytes = {0};
  return setting;
}

sim::Outcome simulated(const sim::Setting& setting) {
  sim::Engine engine(setting);
  return engine.run();
}

const std::vector<std::string>& all_policies() {
  static const std::vector<std::string> all{"bsp",         "asp",      "ssp:0",        "ssp:3",
                                            "ssp:2:eager", "quorum:2", "subset:2",     "local:3",
                                            "easgd:3",     "bmuf:4",   "adaptive:0-4", "adaptive:period:1-5"};
  return all;
}

}  // namespace

TEST_CASE("time per step under stragglers is the one that was computed independently, for every policy and seed") {
  struct Figure {
    const char* policy;
    int workers;
    double time;
  };
  for (const Figure& figure :
       {Figure{"bsp", 8, 3.28}, Figure{"ssp:1", 8, 2.35}, Figure{"ssp:3", 8, 1.81}, Figure{"ssp:10", 8, 1.54},
        Figure{"ssp:30", 8, 1.45}, Figure{"asp", 8, 1.40}, Figure{"quorum:8", 9, 1.90}, Figure{"quorum:8", 10, 1.28},
        Figure{"quorum:8", 11, 1.07}, Figure{"bsp", 4, 2.38}, Figure{"ssp:3", 4, 1.67}, Figure{"ssp:10", 4, 1.50}})
    for (const std::uint64_t seed : {1, 2, 3}) {
      CAPTURE(figure.policy);
      CAPTURE(figure.workers);
      CAPTURE(seed);
      sim::Setting setting = setting_of(figure.policy, figure.workers, 20000, "two_point:1,5,0.1");
      setting.seed = seed;
      CHECK(simulated(setting).time_per_step == Approx(figure.time).epsilon(0.02));
    }
}

TEST_CASE("one worker that is always slow sets the pace of ssp, and bsp waits for the others' stragglers too") {
  const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                     fmt::format("dtrain-sim-test-{}", reinterpret_cast<std::uintptr_t>(&file));
  {
    std::ofstream out(file);
    const job::Distribution stragglers = distribution("two_point:1,5,0.1");
    for (std::uint64_t step = 0; step < 20000; ++step) {
      out << 3;
      for (int rank = 1; rank < 8; ++rank) out << ' ' << stragglers.draw(5, rank, step);
      out << '\n';
    }
  }
  const std::string compute = "trace:" + file.string();
  CHECK(simulated(setting_of("ssp:10", 8, 20000, compute)).time_per_step == Approx(3.0).epsilon(0.02));
  CHECK(simulated(setting_of("bsp", 8, 20000, compute)).time_per_step == Approx(4.05).epsilon(0.02));
  std::filesystem::remove(file);
}

TEST_CASE("the same setting gives the same outcome, and another seed another") {
  for (const std::string& policy : all_policies()) {
    CAPTURE(policy);
    sim::Setting setting = setting_of(policy, 5, 200, "exponential:1");
    setting.latency = 0.01;
    const sim::Outcome first = simulated(setting), again = simulated(setting);
    CHECK(sim::to_json({policy, first, {}, {}, {}}) == sim::to_json({policy, again, {}, {}, {}}));
    setting.seed = 2;
    CHECK(simulated(setting).seconds != first.seconds);
  }
}

TEST_CASE("one worker's step takes its computing and, each way, a latency and the message's bytes by the bandwidth") {
  for (const char* policy : {"bsp", "asp", "ssp:3", "quorum:1", "subset:1", "adaptive:0-10"}) {
    CAPTURE(policy);
    sim::Setting setting = setting_of(policy, 1, 100, "constant:2");
    setting.latency = 0.25;
    setting.bandwidth = 1000;
    setting.slice_bytes = {500};
    const sim::Outcome out = simulated(setting);
    CHECK(out.time_per_step == Approx(2 + 2 * (0.25 + 0.5)));
    // Before the first step a pull, which weighs nothing, and the weights.
    CHECK(out.seconds == Approx(0.25 + (0.25 + 0.5) + 100 * (2 + 2 * (0.25 + 0.5))));
    CHECK(out.utilisation() == Approx(2 / 3.5));
  }
}

TEST_CASE("pushes that meet at a server's link go in one after the other, and weights go out so") {
  // Four pushes leave together and take 4 x 1 s to come in; then four releases take 4 x 1 s to go out.
  sim::Setting setting = setting_of("bsp", 4, 50, "constant:10");
  setting.bandwidth = 100;
  setting.slice_bytes = {100};
  const sim::Outcome out = simulated(setting);
  // A worker begins when its weights are here: the k-th a second after the one before, and its push meets none.
  CHECK(out.time_per_step == Approx(10 + 1 + 4).epsilon(0.01));
  setting.servers = 2;
  setting.slice_bytes = {50, 50};
  const sim::Outcome shared = simulated(setting);
  CHECK(shared.time_per_step < out.time_per_step);
  CHECK(shared.bytes_pushed == out.bytes_pushed);
}

TEST_CASE("each policy sends as many bytes as it promises") {
  const double model = 1000;
  struct Expected {
    const char* policy;
    double bytes_per_step;
  };
  for (const Expected& each : {Expected{"bsp", 2 * model}, Expected{"asp", 2 * model}, Expected{"ssp:3", 2 * model},
                               Expected{"local:10", 2 * model / 10}, Expected{"easgd:10", 2 * model / 10},
                               Expected{"bmuf:10", 2 * model / 10}}) {
    CAPTURE(each.policy);
    sim::Setting setting = setting_of(each.policy, 6, 100, "exponential:1");
    setting.servers = 3;
    setting.slice_bytes = {400, 400, 200};
    const sim::Outcome out = simulated(setting);
    CHECK(out.bytes_per_step() == Approx(each.bytes_per_step));
    CHECK(out.bytes_first == 6 * model);
    CHECK(out.worker_steps == 600);
  }
}

TEST_CASE("messages are a pull and its answer a worker and server, and a push and a release an exchange") {
  sim::Setting setting = setting_of("bsp", 5, 40, "exponential:1");
  setting.servers = 2;
  setting.slice_bytes = {0, 0};
  CHECK(simulated(setting).messages == 5 * 2 * (2 + 40 * 2));
}

TEST_CASE("staleness is workers - 1 in the mean under asp, and nothing under bsp") {
  const sim::Outcome asp = simulated(setting_of("asp", 8, 3000, "exponential:1"));
  CHECK(asp.mean_staleness() == Approx(7).epsilon(0.02));
  CHECK(asp.utilisation() == Approx(1));
  const sim::Outcome bsp = simulated(setting_of("bsp", 8, 300, "exponential:1"));
  CHECK(bsp.max_staleness() == 0);
  CHECK(bsp.updates == 300);
}

TEST_CASE("ssp without staleness waits as bsp does, and with any amount of it as asp does") {
  const std::string compute = "two_point:1,5,0.1";
  CHECK(simulated(setting_of("ssp:0", 6, 2000, compute)).seconds ==
        simulated(setting_of("bsp", 6, 2000, compute)).seconds);
  CHECK(simulated(setting_of("ssp:1000000", 6, 2000, compute)).seconds ==
        simulated(setting_of("asp", 6, 2000, compute)).seconds);
}

TEST_CASE("workers that come and go, on any number of servers and links of any speed, end with the promise kept") {
  for (std::uint32_t round = 0; round < 400; ++round)
    for (const std::string& policy : all_policies()) {
      const auto drawn = [&](std::uint32_t what, double below) {
        return below * unit(draw(11, Purpose::fault, what, round, 0)[0]);
      };
      sim::Setting setting = setting_of(policy, 3 + static_cast<int>(drawn(1, 4)), 40, "exponential:1");
      setting.seed = round + 1;
      setting.servers = 1 + static_cast<int>(drawn(2, 3));
      setting.latency = round % 3 == 0 ? 0 : drawn(3, 0.5);
      setting.bandwidth = round % 2 == 0 ? 0 : 50 + drawn(4, 1000);
      setting.slice_bytes.assign(static_cast<std::size_t>(setting.servers), 50);
      const double from = drawn(5, 40);
      setting.absences.push_back({setting.workers - 1, from, std::nullopt});
      setting.absences.push_back({0, drawn(6, 40), std::nullopt});
      if (round % 2 == 0) setting.absences.back().until = setting.absences.back().from + drawn(7, 10) + 0.01;
      if (policy == "quorum:2" || policy == "subset:2") setting.absences.resize(1);
      CAPTURE(policy);
      CAPTURE(round);
      std::vector<sync::Event> events;
      sim::Engine engine(setting, nullptr, [&](const sync::Event& event) { events.push_back(event); });
      const sim::Outcome out = engine.run();
      CHECK(out.worker_steps > 0);
      const auto breach = sim::test::find_breach(setting, events);
      const std::string why = !breach ? "" : breach->event < events.size() ? to_line(events[breach->event]) : "the end";
      CHECK_MESSAGE(!breach, fmt::format("{}: {}", why, breach ? breach->why : ""));
    }
}

TEST_CASE("a lost worker holds nobody up, and one that comes back does its part again") {
  sim::Setting setting = setting_of("bsp", 4, 100, "slow:1,5,3");
  CHECK(simulated(setting).seconds == Approx(500));
  setting.absences = {{3, 100, std::nullopt}};
  // Twenty steps at its pace, the others at theirs.
  CHECK(simulated(setting).seconds == Approx(100 + 80));
  setting.absences = {{3, 100, 140}};
  CHECK(simulated(setting).seconds == Approx(100 + 40 + 1 + 39 * 5).epsilon(0.01));
}

TEST_CASE("time per step counts a worker by the time that it was there, and leaves out the step in which it was lost") {
  for (const std::string& policy : all_policies()) {
    CAPTURE(policy);
    sim::Setting setting = setting_of(policy, 4, 60, "constant:1");
    setting.absences = {{1, 1, 300}, {2, 20.5, 31}};
    CHECK(simulated(setting).time_per_step == Approx(1));
  }
  // Three go at full speed for 100 s, and one at a third of it for 30 s.
  sim::Setting setting = setting_of("asp", 4, 100, "slow:1,3,3");
  setting.absences = {{3, 31, std::nullopt}};
  CHECK(simulated(setting).time_per_step == Approx(330.0 / 310));
}

TEST_CASE("time per step is the time of a step in common, and under asp the time by the pushes of a worker") {
  const sim::Outcome bsp = simulated(setting_of("bsp", 4, 100, "exponential:1"));
  CHECK(bsp.time_per_step == Approx(bsp.seconds / 100));
  // While both are there the slow one pushes once where the other pushes three times.
  CHECK(simulated(setting_of("asp", 2, 300, "slow:1,3,0")).time_per_step == Approx(1.5));
  CHECK(simulated(setting_of("asp", 2, 300, "slow:1,3,1")).time_per_step == Approx(1.5));
}

TEST_CASE("a run whose workers are all lost ends with an error that says so") {
  sim::Setting setting = setting_of("asp", 2, 100, "constant:1");
  setting.absences = {{0, 10, std::nullopt}, {1, 20, std::nullopt}};
  CHECK_THROWS_WITH_AS(simulated(setting), "all workers are lost", Error);
}

TEST_CASE("policies are read as summaries write them, and what is wrong is told with all forms") {
  for (const char* text : {"bsp", "asp", "ssp:3", "ssp:0", "ssp:3:eager", "quorum:3", "subset:2", "local:10", "easgd:7",
                           "bmuf:1", "adaptive:0-10", "adaptive:period:1-10"}) {
    CAPTURE(text);
    CHECK(sync::spec(std::get<job::Sync>(job::parse_policy(text, {}))) == text);
  }
  CHECK(sync::spec(job::resolve_sync(std::get<job::Sync>(job::parse_policy("quorum", {})), 8)) == "quorum:7");
  const auto problem = [](const std::string& text) { return std::get<std::string>(job::parse_policy(text, {})); };
  CHECK(problem("bps").ends_with("; got 'bps'; did you mean bsp?"));
  CHECK(problem("ssp:4000000000").ends_with("4000000000 is too large, 1000000000 is the most"));
  CHECK(problem("ssp:99999999999999999999").ends_with("is too large, 1000000000 is the most"));
  for (const char* text : {"", "foo", "bsp:1", "ssp:", "ssp:-1", "ssp:3:late", "ssp:3:eager:x", "quorum:0", "local:0",
                           "local:1.5", "adaptive:5", "adaptive:5-4", "adaptive:period:0-3", "adaptive:loss:1-2"}) {
    CAPTURE(text);
    const auto parsed = job::parse_policy(text, {});
    REQUIRE(std::holds_alternative<std::string>(parsed));
    CHECK(std::get<std::string>(parsed).find("sign_vote or gossip; got '") != std::string::npos);
  }
}

TEST_CASE("what a summary calls a policy names that policy again, whichever job the numbers come from") {
  const std::vector<std::string> words{"bsp",
                                       "asp",
                                       "ssp",
                                       "quorum",
                                       "subset",
                                       "local",
                                       "easgd",
                                       "bmuf",
                                       "adaptive",
                                       "adaptive:period",
                                       "adaptive:staleness"};
  for (std::uint32_t round = 0; round < 200; ++round) {
    const auto drawn = [round](std::uint32_t what, std::int64_t least) {
      return least + static_cast<std::int64_t>(20 * unit(draw(13, Purpose::fault, what, round, 0)[0]));
    };
    job::Sync base;
    base.staleness = drawn(0, 0), base.period = drawn(1, 1);
    base.low = drawn(2, 0) % 3, base.high = base.low + drawn(3, 0) % 3;
    base.eager = round % 2 == 0;
    base.adapt = round % 3 == 0 && base.low > 0 ? job::Adapts::period : job::Adapts::staleness;
    std::vector<std::string> texts = all_policies();
    texts.insert(texts.end(), words.begin(), words.end());
    for (const char* name : {"ssp", "quorum", "subset", "local", "easgd", "bmuf"})
      texts.push_back(fmt::format("{}:{}", name, drawn(4, 1)));
    for (const std::string& text : texts) {
      CAPTURE(text);
      const job::Sync once = job::resolve_sync(std::get<job::Sync>(job::parse_policy(text, base)), drawn(5, 1));
      const std::string spec = sync::spec(once);
      CAPTURE(spec);
      const auto again = job::parse_policy(spec, {});
      REQUIRE(std::holds_alternative<job::Sync>(again));
      CHECK(sync::spec(std::get<job::Sync>(again)) == spec);
      job::Sync named = std::get<job::Sync>(job::parse_policy(spec, once));
      if (once.policy != job::PolicyName::ssp) named.eager = once.eager;  // of ssp alone, and left as it was
      CHECK(named == once);
    }
  }
}

TEST_CASE("a distribution's numbers are neither so large nor so small that what is reckoned with them is infinite") {
  const auto problem = [](const std::string& text) {
    const auto parsed = job::parse_distribution(text);
    return std::holds_alternative<std::string>(parsed) ? std::get<std::string>(parsed) : "";
  };
  for (const char* text : {"constant:1e9", "constant:1e-9", "two_point:1,1e9,0", "slow:1e9,1e9,0", "pareto:1e9,1e9"}) {
    CAPTURE(text);
    CHECK(problem(text).empty());
    const sim::Outcome out = simulated(setting_of("bsp", 2, 10, text));
    CHECK(std::isfinite(out.time_per_step));
    CHECK(out.time_per_step > 0);
  }
  for (const char* text : {"constant:1e308", "exponential:1.1e9", "pareto:1,2e9", "two_point:1,1e300,0.1",
                           "two_point:1,5,1e10", "slow:1,1e10,0", "slow:1,3,1e10"}) {
    CAPTURE(text);
    CHECK(problem(text).ends_with(" is too large: set it to 1000000000 or less"));
  }
  CHECK(problem("constant:1e-308").ends_with("1e-308 is too small: set it to 1e-09 or more"));
}

namespace {

struct RealRun {
  job::Job job;
  data::Survey survey;
  std::unique_ptr<data::Rows> rows;
};

RealRun small_job() {
  RealRun run;
  run.job.model.layers = {{.dense = 80, .activation = job::Activation::relu}, {.dense = 10}};
  run.job.data.generate.rows = 600;
  run.job.data.generate.test_rows = 0;
  run.job.data.normalize.scale = 1.0 / 255;
  run.job.train.epochs = 3;
  run.job.train.batch = 40;
  run.job.train.optimizer.type = job::OptimizerType::momentum;
  run.job.topology.threads = 1;
  run.survey = data::survey(run.job);
  run.rows = data::load(run.job, run.survey.encoding, data::Part::train, run.survey.facts.hash);
  return run;
}

struct Trained {
  std::string hash;
  std::vector<sim::LossPoint> curve;
  sim::Outcome outcome;
};

Trained trained(const RealRun& run, const std::string& policy, int workers, int servers, const std::string& compute,
                double latency = 0, std::vector<sim::Absence> absences = {}, double bandwidth = 0) {
  job::Job job = run.job;
  job.topology.workers = workers;
  job.topology.servers = servers;
  if (!absences.empty()) job.faults.on_worker_loss = job::OnWorkerLoss::keep_going;
  sim::Setting setting = setting_of(policy, workers, 0, compute);
  job.sync = setting.sync;
  const plan::Plan plan =
      plan::make_plan(job, {"here", 4, std::size_t{1} << 34}, run.survey.facts, run.survey.encoding.width);
  setting.steps = static_cast<sync::Clock>(plan.total_steps);
  setting.servers = plan.servers;
  setting.latency = latency;
  setting.bandwidth = bandwidth;
  setting.absences = std::move(absences);
  setting.slice_bytes.assign(static_cast<std::size_t>(plan.servers), 4);
  sim::Training training(plan, *run.rows);
  sim::Engine engine(setting, &training);
  Trained out;
  out.outcome = engine.run();
  out.hash = store::weights_hash(training.weights().span());
  out.curve = training.curve();
  return out;
}

}  // namespace

TEST_CASE("policies with steps in common end with the same bits whoever is slow and however many servers there are") {
  const RealRun run = small_job();
  for (const char* policy : {"bsp", "subset:2", "quorum:3", "local:4", "bmuf:4"}) {
    CAPTURE(policy);
    const std::string reference = trained(run, policy, 3, 1, "constant:1").hash;
    CHECK(trained(run, policy, 3, 1, "exponential:1").hash == reference);
    CHECK(trained(run, policy, 3, 3, "exponential:1", 0.3).hash == reference);
  }
}

TEST_CASE("with one worker asp, ssp and quorum are bsp, to the bit") {
  const RealRun run = small_job();
  const std::string reference = trained(run, "bsp", 1, 1, "constant:1").hash;
  for (const char* policy : {"asp", "ssp:3", "quorum:1", "subset:1"}) {
    CAPTURE(policy);
    CHECK(trained(run, policy, 1, 2, "exponential:1", 0.1).hash == reference);
  }
  CHECK(trained(run, "quorum:3", 3, 1, "exponential:1").hash == trained(run, "bsp", 3, 1, "constant:1").hash);
}

TEST_CASE("with real gradients the loss falls against virtual time, under every policy") {
  const RealRun run = small_job();
  for (const std::string& policy : all_policies()) {
    CAPTURE(policy);
    const Trained out = trained(run, policy, 3, 2, "two_point:1,5,0.1", 0.01);
    REQUIRE(out.curve.size() > 3);
    CHECK(out.curve.back().loss < 0.9 * out.curve.front().loss);
    for (std::size_t k = 1; k < out.curve.size(); ++k) {
      CHECK(out.curve[k].seconds >= out.curve[k - 1].seconds);
      CHECK(out.curve[k].rows > out.curve[k - 1].rows);
    }
    CHECK(out.curve.back().rows >= 3 * 600);
  }
}

TEST_CASE("a worker lost between two servers' updates leaves both with the same steps") {
  const RealRun run = small_job();
  int torn = 0;
  for (int k = 0; k < 20; ++k) {
    const Trained out = trained(run, "bsp", 3, 2, "exponential:1", 0.2, {{2, 5 + 2.3 * k, std::nullopt}}, 4);
    torn += static_cast<int>(out.outcome.torn);
    CHECK(out.outcome.updates == 45);
    CHECK(out.curve.back().loss < out.curve.front().loss);
  }
  CHECK(torn > 0);
}
