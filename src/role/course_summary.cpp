/// summary.json: what a run came to, and where its roles' time and bytes went.

#include <algorithm>

#include "base/file.hpp"
#include "job/catalogue.hpp"
#include "math/gemm.hpp"
#include "plan/packing.hpp"
#include "report/page.hpp"
#include "role/course.hpp"
#include "store/model_file.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {
namespace {

const char* status_of(int stop_code, const Error* failure) {
  if (failure != nullptr) return is_wished_end(*failure) ? "stopped" : "failed";
  return stop_code == 0 ? "done" : "stopped";
}

/// Histogram by versions, and its mean.
void put_staleness(Json& summary, const std::vector<std::uint64_t>& counts) {
  double weighted = 0, count = 0;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    if (counts[s] == 0) continue;
    weighted += static_cast<double>(s) * static_cast<double>(counts[s]);
    count += static_cast<double>(counts[s]);
    summary["staleness"]["histogram"][std::to_string(s)] = counts[s];
  }
  if (count > 0) summary["staleness"]["mean"] = weighted / count;
}

/// Each role's tally, and what they add up to.
void put_roles(Json& summary, const std::vector<RoleReport>& roles) {
  std::uint64_t sent = 0, received = 0, torn = 0, late = 0, abandoned = 0, never = 0;
  std::vector<std::uint64_t> staleness;
  summary["roles"] = Json::array();
  for (const RoleReport& report : roles) {
    const Tally& tally = report.tally;
    Json role{{"role", report.role}, {"rank", report.rank}};
    role.update(to_json(tally));
    role["bytes_sent"] = tally.payload_sent + tally.replica_sent;
    role["bytes_received"] = tally.payload_received + tally.replica_received;
    summary["roles"].push_back(role);
    torn += tally.torn, late += tally.late, abandoned += tally.abandoned;
    never = std::max(never, tally.rows_never_learned);
    for (const auto& [bound, value] : tally.bounds) summary["bounds"][bound] = value;
    if (report.role == "worker") sent += tally.payload_sent, received += tally.payload_received;
    staleness.resize(std::max(staleness.size(), tally.staleness.size()));
    for (std::size_t s = 0; s < tally.staleness.size(); ++s) staleness[s] += tally.staleness[s];
  }
  summary["bytes"]["payload_sent"] = sent;
  summary["bytes"]["payload_received"] = received;
  if (torn > 0) summary["torn_pushes"] = torn;
  if (late + abandoned > 0) summary["late_pushes"] = late, summary["abandoned_steps"] = abandoned;
  if (summary.value("policy", "") == "quorum") summary["rows_never_learned"] = never;
  put_staleness(summary, staleness);
}

/// Where rows pass through stages of their own: how busy each was while the workers were at it, as a share of their
/// time, and which one the others waited for.
void put_stages(Json& summary, const plan::Plan& plan, const std::vector<RoleReport>& roles) {
  double read = 0, transform = 0, train = 0, workers = 0;
  for (const RoleReport& report : roles) {
    const Tally& tally = report.tally;
    if (tally.seconds <= 0) continue;
    if (report.role == "loader")
      read += tally.read_seconds / tally.seconds, transform += tally.transform_seconds / tally.seconds;
    if (report.role == "worker") train += 1 - tally.fetch_seconds / tally.seconds, ++workers;
  }
  if (plan.loaders() == 0 || workers == 0) return;
  const double readers = plan.readers(), transformers = std::max(1, plan.loaders() - plan.readers());
  const std::pair<const char*, double> stages[] = {
      {"read", read / readers}, {"transform", transform / transformers}, {"train", train / workers}};
  const auto* busiest = &stages[0];
  for (const auto& stage : stages) {
    summary["stages"][stage.first] = stage.second;
    if (stage.second > busiest->second) busiest = &stage;
  }
  summary["stages"]["bottleneck"] = busiest->first;
}

/// How many times the payload there would have been without the codec: what the plan says of that for the steps that
/// were done, and what was counted.
void put_codec(Json& summary, const plan::Plan& plan, const std::vector<RoleReport>& roles) {
  if (!plan::packs_gradients(plan)) return;
  summary["codec"]["name"] = plan::codec_label(plan.job);
  if (plan.job.sync.codec == job::Codec::zstd) summary["codec"]["of"] = job::codec_name(plan.job.sync.zstd_of);
  double plain = 0, counted = 0;
  for (const RoleReport& report : roles) {
    if (report.role != "worker") continue;
    const double exchanges = static_cast<double>(report.tally.steps) * (plan.share_of_pushes() + 1);
    plain += exchanges * plan.plain_bytes();
    if (plan.servers > 0) plain += static_cast<double>(plan.step_bytes()) / plan.grid.cells();  // one pull
    counted += static_cast<double>(report.tally.payload_sent + report.tally.payload_received);
  }
  if (counted > 0) summary["codec"]["ratio"] = plain / counted;
}

}  // namespace

void Course::finish_failed(const Error& failure) {
  try {
    finish({}, &failure);
  } catch (const Error& second) {
    request_.log.warn("the summary could not be written: {}", second.what());
  }
}

Json Course::finish(const std::vector<RoleReport>& roles, const Error* failure) {
  Json summary;
  summary["name"] = plan_.job.name;
  summary["run"] = folder_.path().string();
  summary["status"] = status_of(stop_code_, failure);
  summary["exit_code"] = failure != nullptr ? failure->exit_code() : stop_code_;
  summary["reason"] = failure != nullptr ? failure->what() : "";
  const Index rows = last_ ? last_->applied_rows : tracker_.rows();
  summary["steps"] = last_ ? static_cast<Index>(last_->step) : static_cast<Index>(tracker_.slowest());
  summary["epochs"] = static_cast<double>(rows) / static_cast<double>(plan_.facts.train_rows);
  summary["rows"] = tracker_.rows();
  summary["seconds"] = tracker_.seconds();
  summary["samples_per_second"] =
      tracker_.seconds() > 0 ? static_cast<double>(tracker_.rows()) / tracker_.seconds() : 0.0;
  summary["steady_samples_per_second"] = tracker_.steady_rate();
  summary["train"] = Json::object();
  if (const auto loss = tracker_.train_loss()) summary["train"]["loss"] = *loss;
  summary["test"] = Json::object();
  for (const auto& [name, value] : scores_) summary["test"][name] = value;
  summary["weights"]["count"] = plan_.layout.total;
  if (last_) summary["weights"]["sha256"] = store::weights_hash(last_->weights.span());
  summary["bytes"]["predicted_per_worker_step"] = plan_.bytes_per_worker_step();
  if (plan_.facts.skipped_rows > 0) summary["skipped_rows"] = plan_.facts.skipped_rows;
  summary["flops_per_row"] = plan_.flops_per_row();
  summary["checkpoints"] = checkpoints_;
  if (faults_ > 0) summary["faults"] = faults_, summary["restarts"] = restarts_;
  if (const int passed_over = aside_->passed_over() + passed_over_; passed_over > 0)
    summary["checkpoints_passed_over"] = passed_over;
  summary["policy"] = job::policy_name(plan_.job.sync.policy);
  summary["policy_spec"] = sync::spec(plan_.job.sync);
  put_roles(summary, roles);
  put_codec(summary, plan_, roles);
  put_stages(summary, plan_, roles);
  summary["workers"] = plan_.processes();
  if (plan_.grid.split())
    summary["grid"] = {{"data", plan_.grid.data}, {"pipeline", plan_.grid.pipeline}, {"tensor", plan_.grid.tensor}};
  summary["servers"] = plan_.servers;
  if (plan_.loaders() > 0) summary["loaders"] = plan_.readers();
  summary["threads"] = plan_.threads;
  summary["blas"] = blas_kernels();
  summary["seed"] = plan_.job.seed;
  metrics_.write({{"event", "done"},
                  {"status", summary["status"]},
                  {"exit_code", summary["exit_code"]},
                  {"reason", summary["reason"]}});
  replace_file(folder_.path() / "summary.json", summary.dump(2) + "\n");
  replace_file(folder_.path() / "report.html", report::render_page(folder_.path()));
  return summary;
}

}  // namespace dtrain::role
