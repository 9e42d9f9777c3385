#include "role/course.hpp"

#include <algorithm>
#include <csignal>

#include "base/file.hpp"
#include "base/text.hpp"
#include "job/catalogue.hpp"
#include "job/places.hpp"
#include "job/read.hpp"
#include "math/gemm.hpp"
#include "plan/packing.hpp"
#include "role/premises.hpp"
#include "role/role.hpp"
#include "store/model_file.hpp"
#include "sync/policy.hpp"
#include "wire/shared.hpp"

namespace dtrain::role {
namespace {

report::RunFolder folder_for(const RunRequest& request, const plan::Plan& plan) {
  check_premises(request, plan);
  return request.resume.empty() ? report::RunFolder::create(request.job, request.out)
                                : report::RunFolder::open(request.resume);
}

plan::Host this_host() { return {launch::host_name(), launch::cores(), launch::memory_bytes()}; }

ChaosBook chaos_for(const RunRequest& request, const plan::Plan& plan) {
  const Cast cast{plan.processes(), plan.servers, plan.alone(), plan.total_steps, plan.job.seed};
  return ChaosBook(resolve(request.chaos, cast));
}

/// Shared memory needs more of a machine than sockets do.
job::Job with_transport(job::Job job, const Log& log) {
  const bool wanted = job.topology.transport == job::Transport::shared_memory &&
                      (job.topology.workers > 1 || job::grows(job.topology) || job.topology.servers.value_or(0) > 0);
  const auto obstacle = wanted ? wire::SharedMemory::obstacle() : std::nullopt;
  if (!obstacle) return job;
  log.warn("no shared memory between roles ({}): they use Unix sockets, as topology.transport: ipc does", *obstacle);
  job.topology.transport = job::Transport::ipc;
  return job;
}

}  // namespace

Course::Course(const RunRequest& request)
    : request_(request),
      survey_(data::survey(request.job)),
      plan_(plan::make_plan(with_transport(request.job, request.log), this_host(), survey_.facts,
                            survey_.encoding.width)),
      chaos_(chaos_for(request, plan_)),
      as_coordinator_(chaos_.clock(wire::Role::coordinator, 0)),
      as_worker_(chaos_.clock(wire::Role::worker, 0)),
      folder_(folder_for(request, plan_)),
      metrics_(folder_.path() / "metrics.jsonl"),
      progress_(request.progress, request.color, request.job.name),
      tracker_(plan_, metrics_, progress_),
      goes_on_(!request.resume.empty()) {
  for (const std::string& warning : plan_.warnings) request.log.warn("{}", warning);
  if (request.resume.empty()) {
    write_file(folder_.path() / "job.yaml", request.job_text);
    write_file(folder_.path() / "resolved.yaml", job::write_job(plan_.job));
    write_file(folder_.path() / "plan.json", plan::to_json(plan_).dump(2) + "\n");
  }
  aside_ = std::make_unique<Aside>(plan_.job, survey_, folder_.path(), chaos_.clock(wire::Role::coordinator, 0));
  if (!chaos_.empty()) request.log.info("--chaos {}", to_text(chaos_.spec()));
}

void Course::note_chaos(wire::Role role, int rank, const std::string& fault, std::uint64_t step) {
  chaos_.note_done(role, rank, fault);
  metrics_.write(
      {{"event", "chaos"}, {"role", wire::name(role)}, {"rank", rank}, {"fault", fault}, {"step", step + 1}});
  const std::string who =
      role == wire::Role::coordinator ? "the coordinator" : fmt::format("{} {}", wire::name(role), rank);
  progress_.line(fmt::format("dtrain: --chaos: {} suffers {}", who, fault));
}

/// A full disk is found where checkpoints are written.
void Course::suffer(wire::Role role, int rank, std::uint64_t step) {
  FaultClock& clock = role == wire::Role::coordinator ? as_coordinator_ : as_worker_;
  if (clock.empty()) return;
  for (const Fault& fault : clock.begin(step)) {
    if (fault.action == Fault::Action::disk) continue;
    note_chaos(role, rank, to_text(fault), step);
    end_or_stop(fault.action);
  }
}

Json Course::state_facts() const {
  return Json{{"data_hash", plan_.facts.hash}, {"weights", plan_.layout.total}, {"seed", plan_.job.seed},
              {"workers", plan_.workers},      {"blas", blas_kernels()},        {"threads", plan_.threads},
              {"tensor", plan_.grid.tensor}};
}

store::State Course::take_initial_state() {
  std::optional<store::State> saved = goes_on_ ? saved_state() : std::nullopt;
  if (goes_on_ && !saved) request_.log.info("no checkpoint yet: starting from the beginning");
  store::State state = saved ? std::move(*saved) : fresh_state();
  if (plan_.job.output.trace) begin_trace(state);
  return state;
}

std::optional<store::State> Course::saved_state() {
  std::vector<std::string> skipped;
  std::optional<store::State> state = store::load_newest(folder_.path(), &skipped);
  for (const std::string& line : skipped) request_.log.warn("{}", line);
  if (!state && !skipped.empty())
    fail(Kind::checkpoint, "none of the run's {} checkpoint{} is sound; to begin anew, remove {}", skipped.size(),
         skipped.size() == 1 ? "" : "s", (folder_.path() / "checkpoints").string());
  if (!state) return std::nullopt;
  spread(*state);
  compare_facts(*state);
  if (restarts_ == 0) metrics_.write({{"event", "resume"}, {"step", state->step}});
  request_.log.info("going on from step {} of {}", with_commas(static_cast<Index>(state->step)),
                    with_commas(plan::steps_of(plan_, plan_.total_rows)));
  return state;
}

/// Where all workers are at one step and have nothing of their own, any number of them can go on.
void Course::spread(store::State& state) const {
  const auto workers = static_cast<std::size_t>(plan_.places());
  const std::vector<std::uint64_t>& clocks = state.clocks;
  if (clocks.empty() || clocks.size() == workers || !state.own.empty() ||
      std::count(clocks.begin(), clocks.end(), clocks.front()) != std::ssize(clocks))
    return;
  request_.log.warn(
      "the workers that share the rows were {} when the checkpoint was written and are {} now: the result will not "
      "have the bits of an uninterrupted run",
      clocks.size(), workers);
  state.clocks.assign(workers, clocks.front());
}

void Course::compare_facts(const store::State& state) {
  const Json now = state_facts();
  for (const char* fact : {"data_hash", "weights", "seed"})
    if (state.facts.value(fact, Json()) != now[fact])
      fail(Kind::checkpoint,
           "{} was {} when the checkpoint was written and is {} now; a run can only go on as it began", fact,
           state.facts.value(fact, Json()).dump(), now[fact].dump());
  const auto workers = static_cast<std::size_t>(plan_.places());
  const auto arenas = static_cast<std::size_t>(plan_.server_arenas()),
             own = static_cast<std::size_t>(plan_.worker_arenas());
  const bool alone = plan_.workers_keep();
  if (state.clocks.size() != workers || state.moments.size() != arenas || state.own.size() != (alone ? workers : 0) ||
      (alone && state.own.front().moments.size() != own))
    fail(Kind::checkpoint,
         "the checkpoint holds the clocks of {} workers, {} moments and the own weights of {} workers; the run has {}, "
         "{} and {}",
         state.clocks.size(), state.moments.size(), state.own.size(), workers, arenas, alone ? workers : 0);
  for (const char* fact : {"blas", "threads", "tensor"})
    if (state.facts.value(fact, now[fact]) != now[fact])
      request_.log.warn("{} was {} and is {} now: the result will not have the bits of an uninterrupted run", fact,
                        state.facts.value(fact, Json()).dump(), now[fact].dump());
}

store::State Course::fresh_state() const {
  store::State state;
  state.clocks.assign(static_cast<std::size_t>(plan_.places()), 0);
  state.weights = Arena(plan_.layout.total);
  model::initialise(plan_.job.model, plan_.layout, plan_.job.seed, state.weights.span());
  for (int k = 0; k < plan_.server_arenas(); ++k) state.moments.emplace_back(plan_.layout.total);
  // Under block momentum the first block starts where the model is; and changes are told of from there.
  if (plan_.job.sync.policy == job::PolicyName::bmuf || plan::keeps_model_apart(plan_))
    std::copy(state.weights.span().begin(), state.weights.span().end(), state.moments.back().data());
  return state;
}

/// A run that goes on begins a trace of its own.
void Course::begin_trace(const store::State& state) {
  fs::path file = folder_.path() / "trace.jsonl";
  for (int n = 2; fs::exists(file); ++n) file = folder_.path() / fmt::format("trace-{}.jsonl", n);
  trace_.emplace(file);
  trace_->put(sync::to_line({job::write_job(plan_.job), plan_.places(), plan_.of_cell(0).owners() * plan_.grid.cells(),
                             plan::last_clock(plan_), static_cast<sync::Clock>(plan::single_until_steps(plan_)),
                             state.clocks, absent_from(plan_, everyone(plan_.workers))}) +
              "\n");
}

void Course::trace(const std::vector<sync::Event>& events) {
  std::string lines;
  for (const sync::Event& event : events) lines += sync::to_line(event) + "\n";
  if (trace_) trace_->put(lines);
}

bool Course::should_stop() {
  const int signals = signals_.count();
  if (signals > 1)
    throw Error(Kind::out_of_time, "ended at once by the second signal").with_code(128 + signals_.last());
  if (signals == 1 && stop_code_ <= 128) {
    stop_code_ = 128 + signals_.last();
    progress_.line(fmt::format("dtrain: {}: finishing the step and saving; once more ends at once",
                               signals_.last() == SIGINT ? "interrupted" : "asked to end"));
  }
  if (stop_code_ == 0 && request_.max_time.count() > 0 && seconds_since(begun_) > request_.max_time.count()) {
    stop_code_ = static_cast<int>(Kind::out_of_time);
    progress_.line(
        fmt::format("dtrain: {} are over: finishing the step and saving", human_seconds(request_.max_time.count())));
  }
  return stop_code_ != 0;
}

bool Course::save_due() {
  const job::Length& every = plan_.job.checkpoint.every;
  if (every.unit != job::Unit::time || every.value <= 0 || seconds_since(saved_at_) < every.value) return false;
  saved_at_ = Clock::now();
  return true;
}

void Course::fault(const Json& what) {
  ++faults_;
  Json event{{"event", "fault"}};
  event.update(what);
  event["seconds"] = seconds_since(begun_);
  metrics_.write(event);
}

void Course::go_back() {
  ++restarts_;
  goes_on_ = true;
  while (aside_->outstanding() > 0) settle(aside_->wait());
}

void Course::recovered(Clock::time_point noticed, std::uint64_t step) {
  metrics_.write({{"event", "recovery"}, {"seconds", seconds_since(noticed)}, {"step", step}});
}

void Course::take_results() {
  while (auto result = aside_->next()) settle(std::move(*result));
}

void Course::settle(AsideResult result) {
  if (!result.chaos.empty()) note_chaos(wire::Role::coordinator, 0, result.chaos, result.snapshot.state.step - 1);
  if (result.failure) std::rethrow_exception(result.failure);
  const store::State& state = result.snapshot.state;
  tracker_.evaluated(plan::steps_of(plan_, state.applied_rows), state.applied_rows, result.scores,
                     result.evaluate_seconds);
  if (!result.scores.empty()) scores_ = result.scores;
  if (!result.saved.empty()) {
    ++checkpoints_;
    metrics_.write({{"event", "checkpoint"}, {"step", state.step}, {"seconds", result.save_seconds}});
  }
  if (result.snapshot.last) last_ = std::move(result.snapshot.state);
}

void Course::conclude() {
  while (!last_ && aside_->outstanding() > 0) settle(aside_->wait());
  if (!last_) fail(Kind::internal, "the run ended without a last snapshot");
  store::save_model(folder_.path() / "model.safetensors", plan_.job.model, survey_.encoding, last_->weights.span());
  for (const std::string& fault : chaos_.not_done())
    request_.log.warn("--chaos: {} never came: the run ended before", fault);
}

}  // namespace dtrain::role
