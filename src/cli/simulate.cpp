/// `dtrain simulate`: what a job's policies would do with other machines and other links, in virtual time.

#include <unistd.h>

#include <fstream>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/foresee.hpp"
#include "cli/output.hpp"
#include "cli/simulate_flags.hpp"
#include "cli/verbs.hpp"
#include "job/catalogue.hpp"
#include "job/read.hpp"
#include "job/resolve.hpp"
#include "launch/children.hpp"
#include "math/gemm.hpp"
#include "plan/packing.hpp"
#include "role/run.hpp"
#include "sim/engine.hpp"
#include "sim/report.hpp"
#include "sim/training.hpp"
#include "store/checkpoint.hpp"
#include "sync/trace.hpp"

namespace dtrain::cli {
namespace {

constexpr std::int64_t default_steps = 1000;
constexpr std::int64_t most_workers = 1000000, most_servers = 1024, most_steps = 1000000000, most_pairs = 20000000;

void refuse_above(std::int64_t most, const char* flag, std::int64_t count) {
  if (count > most) simulate_usage("--{} must be at most {}, got {}", flag, with_commas(most), with_commas(count));
}

/// Before anything is read or planned with them.
void check_counts(const Options& options) {
  refuse_above(most_workers, "workers", options.workers);
  refuse_above(most_servers, "servers", options.servers);
  refuse_above(most_steps, "steps", options.steps);
}

/// Each worker and server keep something of each other, and a job's own numbers count too.
void check_pairs(const job::Topology& topology) {
  if (topology.workers * *topology.servers > most_pairs)
    simulate_usage("{} times {} are more than {}: give fewer --workers or --servers",
                   counted(topology.workers, "worker"), counted(*topology.servers, "server"), with_commas(most_pairs));
}

/// On a terminal, how far a long simulation is.
class Ticker {
 public:
  explicit Ticker(const Options& options) : shows_(::isatty(2) != 0 && !options.quiet) {}
  ~Ticker() { wipe(); }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  void show(const std::string& policy, double share) {
    if (!shows_ || Clock::now() - last_ < std::chrono::milliseconds(100)) return;
    last_ = Clock::now();
    const std::string text = fmt::format("{}: {:.0f} %", policy, 100 * share);
    fmt::print(stderr, "\r{:<{}}", text, width_);
    std::fflush(stderr);
    width_ = text.size();
  }
  void wipe() {
    if (width_ > 0) fmt::print(stderr, "\r{:{}}\r", "", width_);
    width_ = 0;
  }

 private:
  bool shows_;
  std::size_t width_ = 0;
  Clock::time_point last_ = Clock::now();
};

/// The trace of one simulated policy, as a run would write it.
class TraceFile {
 public:
  explicit TraceFile(const std::string& path) : path_(path), out_(path) { check(); }
  void write(const std::string& line) { out_ << line << '\n'; }
  void close() {
    out_.close();
    check();
  }

 private:
  void check() const {
    if (!out_) throw Error(Kind::environment, with_errno("cannot write " + path_, errno));
  }
  std::string path_;
  std::ofstream out_;
};

struct Subject {
  job::Job job;
  std::optional<data::Survey> survey;       ///< if there is a job file
  std::unique_ptr<data::Rows> train, test;  ///< with --real; no test part: null
};

plan::Plan plan_of(const Subject& subject, const job::Sync& policy) {
  job::Job job = subject.job;
  job.sync = policy;
  const plan::Host here{launch::host_name(), launch::cores(), launch::memory_bytes()};
  return plan::make_plan(job, here, subject.survey->facts, subject.survey->encoding.width);
}

/// The job as it is simulated: who takes part is the flags' to say, and nobody is spared the servers.
job::Job simulated(job::Job job, const Options& options) {
  job::Topology& topology = job.topology;
  topology.external = topology.external_servers = 0;
  topology.hosts.clear();
  topology.kind = job::TopologyKind::parameter_server;
  topology.workers = topology.data_ranks();
  topology.max_workers.reset();
  topology.split = {};
  topology.memory = 0;
  topology.servers = options.servers > 0 ? options.servers : std::max<std::int64_t>(1, topology.servers.value_or(1));
  if (options.workers > 0) topology.workers = options.workers;
  job.train.sparse = job::SparseUpdates::off;  // gradients travel whole, as if rows were dense
  if (!options.lose.empty()) job.faults.on_worker_loss = job::OnWorkerLoss::keep_going;
  if (options.steps > 0) {
    job.train.steps = options.steps;
    job.train.epochs = std::max(job.train.epochs, options.steps);  // an epoch has at least one step
  }
  return job;
}

Subject read_subject(const Options& options) {
  Subject subject;
  if (options.job.empty()) {
    if (!options.set.empty()) simulate_usage("--set changes a job, and no JOB is given");
    if (!options.trace.empty()) simulate_usage("--trace needs a JOB: it begins with what the job promises");
    if (options.real) simulate_usage("--real needs a JOB, for its data and its network");
    subject.job = simulated({}, options);
    return subject;
  }
  std::string warnings;
  const job::Job job = job::load_job(options.job, options.set, &warnings);
  warn(warnings);
  if (options.real) role::prepare_threads(job);
  subject.job = simulated(job, options);
  if (!job::has_servers(job.topology) && job.sync.policy != job::PolicyName::gossip)
    Log(level(options), "dtrain: ")
        .warn("exchanges without servers are not foreseen: instead of topology.kind: {}, servers are simulated",
              job::topology_name(job.topology.kind));
  if (job.topology.split.cells() > 1)
    Log(level(options), "dtrain: ")
        .warn("what passes between the parts of a network is not foreseen: each replica is simulated as one worker");
  subject.survey = data::survey(subject.job);
  if (options.real) {
    set_blas_threads(1);
    const data::Facts& facts = subject.survey->facts;
    subject.train = data::load(subject.job, subject.survey->encoding, data::Part::train, facts.hash);
    if (facts.test_rows > 0)
      subject.test = data::load(subject.job, subject.survey->encoding, data::Part::test, facts.hash);
  }
  return subject;
}

/// What is the same for all policies.
sim::Setting read_setting(const Options& options, const Subject& subject) {
  check_pairs(subject.job.topology);
  sim::Setting setting;
  setting.workers = static_cast<int>(subject.job.topology.workers);
  setting.servers = static_cast<int>(*subject.job.topology.servers);
  setting.steps = static_cast<sync::Clock>(options.steps > 0 ? options.steps : default_steps);
  setting.seed = subject.job.seed;
  setting.compute = read_compute(options.compute, setting.workers);
  setting.latency = read_latency(options.latency);
  setting.bandwidth = read_bandwidth(options.bandwidth);
  setting.slice_bytes.assign(static_cast<std::size_t>(setting.servers), 0);
  for (const std::string& text : options.lose) setting.absences.push_back(read_absence(text, setting.workers));
  return setting;
}

/// What the job's plan says of one policy.
void adopt(const plan::Plan& plan, const Options& options, sim::Setting& setting) {
  setting.servers = std::max(1, plan.servers);
  // Under subset a plan has more steps, so that as many rows are applied; timing compares like with like.
  if (options.real) setting.steps = static_cast<sync::Clock>(plan.total_steps);
  setting.single_until = static_cast<sync::Clock>(plan::single_until_steps(plan));
  const double plain = plan.plain_bytes(), pushed = plain * plan.share_of_pushes();
  setting.push_share = pushed > 0 ? plan.push_bytes() / pushed : 1;
  setting.pull_share = plain > 0 ? plan.pull_bytes() / plain : 1;
  setting.slice_bytes.clear();
  for (const plan::Slice& slice : plan.slices)
    setting.slice_bytes.push_back(4.0 * static_cast<double>(slice.end - slice.begin) * plan.exchanged_arenas());
}

sync::TraceHead trace_head(const Options& options, const Subject& subject, const sim::Setting& setting) {
  job::Job promised = subject.job;
  promised.sync = setting.sync;
  promised.topology.workers = setting.workers;
  promised.topology.servers = setting.servers;
  sync::TraceHead head;
  head.job = job::write_job(promised);
  head.workers = setting.workers;
  head.servers = setting.servers;
  // With real rows a quorum has as many steps as it takes to learn what was dropped.
  head.total_steps = options.real && sync::traits(setting.sync).abandons ? 0 : setting.steps;
  head.single_until = setting.single_until;
  head.clocks.assign(static_cast<std::size_t>(setting.workers), 0);
  return head;
}

/// What real gradients led to.
void add_training(const Subject& subject, const plan::Plan& plan, sim::Training& training, sim::Result& result) {
  const Arena weights = training.weights();
  result.curve = training.curve();
  result.weights_sha256 = store::weights_hash(weights.span());
  if (subject.test)
    result.scores =
        role::Evaluator(plan.job.model, subject.survey->encoding, plan.threads).evaluate(*subject.test, weights.span());
}

sim::Result simulate_one(const Options& options, const Subject& subject, sim::Setting& setting, Ticker& ticker) {
  sim::Result result;
  result.policy = sync::spec(setting.sync);
  std::optional<plan::Plan> plan;
  std::optional<sim::Training> training;
  if (subject.survey) adopt(plan.emplace(plan_of(subject, setting.sync)), options, setting);
  if (options.real && plan->job.sync.codec != job::Codec::none && plan::packs_gradients(*plan))
    simulate_usage("--real sends gradients as they are, and sync.codec is {}: leave --real out, or set it to none",
                   job::codec_name(plan->job.sync.codec));
  if (options.real) training.emplace(*plan, *subject.train);
  std::optional<TraceFile> trace;
  sync::Ledger::Sink sink;
  if (!options.trace.empty()) {
    trace.emplace(options.trace);
    trace->write(sync::to_line(trace_head(options, subject, setting)));
    sink = [&trace](const sync::Event& event) { trace->write(sync::to_line(event)); };
  }
  sim::Engine engine(setting, training ? &*training : nullptr, std::move(sink));
  result.outcome = engine.run([&](double share) { ticker.show(result.policy, share); });
  if (trace) trace->close();
  if (training) add_training(subject, *plan, *training, result);
  return result;
}

Json to_json(const Options& options, const sim::Setting& setting, const std::vector<sim::Result>& results) {
  Json policies = Json::array();
  for (const sim::Result& result : results) policies.push_back(sim::to_json(result));
  double bytes = 0;
  for (const double slice : setting.slice_bytes) bytes += slice;
  return {{"workers", setting.workers},
          {"servers", setting.servers},
          {"steps", setting.steps},
          {"compute", options.compute},
          {"latency_seconds", setting.latency},
          {"bandwidth_bytes_per_second", setting.bandwidth > 0 ? Json(setting.bandwidth) : Json()},
          {"weight_bytes", static_cast<std::uint64_t>(bytes)},
          {"seed", setting.seed},
          {"policies", policies}};
}

std::string heading(const Options& options, const sim::Setting& setting) {
  std::string text =
      fmt::format("{}, {}, {}, {}", counted(setting.workers, "worker"), counted(setting.servers, "server"),
                  counted(static_cast<std::int64_t>(setting.steps), "step"), options.compute);
  if (setting.latency > 0) text += fmt::format(", latency {}", human_seconds(setting.latency));
  if (setting.bandwidth > 0) text += fmt::format(", {}/s a link", human_bytes(setting.bandwidth));
  return text + "; times in seconds\n";
}

}  // namespace

namespace {

/// Its exchanges are simulated in time, by a stand-in that has no weights and no order of its own.
void refuse_what_gossip_lacks(const Options& options, const job::Sync& policy) {
  if (policy.policy != job::PolicyName::gossip) return;
  if (options.real) simulate_usage("--real trains through servers, and gossip has none: leave gossip or --real out");
  if (!options.trace.empty())
    simulate_usage("--trace tells what servers did, and gossip has none: leave gossip or --trace out");
}

}  // namespace

int simulate(const Options& options) {
  check_counts(options);
  const Subject subject = read_subject(options);
  sim::Setting setting = read_setting(options, subject);
  const int asked = setting.servers;
  const std::vector<job::Sync> policies = read_policies(options.compare, subject.job.sync, setting.workers);
  if (subject.survey && options.steps == 0)
    setting.steps = static_cast<sync::Clock>(plan_of(subject, job::Sync{}).total_steps);
  if (!options.trace.empty() && policies.size() > 1)
    simulate_usage("--trace is of one policy, and --compare names {}", policies.size());
  for (const job::Sync& policy : policies) refuse_what_gossip_lacks(options, policy);
  std::vector<sim::Result> results;
  {
    Ticker ticker(options);
    for (const job::Sync& policy : policies) {
      setting.sync = policy;
      results.push_back(simulate_one(options, subject, setting, ticker));
    }
  }
  if (setting.servers < asked)
    Log(level(options), "dtrain: ")
        .warn("the model has only {} of {} weights to own: that many servers were simulated, not {}",
              counted(setting.servers, "block"), block_weights, asked);
  if (options.json)
    print_json(to_json(options, setting, results));
  else
    print(heading(options, setting) + sim::render(results));
  return 0;
}

}  // namespace dtrain::cli
