/// `dtrain bench`: how fast this machine is on a job, and what it could be at best.

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "job/read.hpp"
#include "launch/children.hpp"
#include "math/gemm.hpp"
#include "role/run.hpp"

namespace dtrain::cli {
namespace {

constexpr std::int64_t default_steps = 1000;
constexpr int peak_side = 2048;

/// The job as it is measured: no evaluation, no checkpoint, so many steps.
job::Job measured(job::Job job, std::int64_t steps) {
  job.train.steps = steps;
  job.train.epochs = std::max(job.train.epochs, steps);  // an epoch has at least one step
  job.train.evaluate.value = 0;
  job.checkpoint.every.value = 0;
  if (job.data.format == job::Format::generated) job.data.generate.test_rows = 0;
  job.assertions.clear();
  return job;
}

struct Share {
  double compute = 0, wait = 0, communicate = 0;
};

/// Where the workers' time went, as shares of it.
Share shares(const Json& summary) {
  Share sum;
  for (const Json& role : summary.at("roles")) {
    if (role.at("role") != "worker") continue;
    sum.compute += role.at("compute_seconds").get<double>();
    sum.wait += role.at("wait_seconds").get<double>();
    sum.communicate += role.at("communicate_seconds").get<double>();
  }
  const double total = std::max(1e-9, sum.compute + sum.wait + sum.communicate);
  return {sum.compute / total, sum.wait / total, sum.communicate / total};
}

Json report_of(const Json& summary, double peak) {
  const double rate = summary.at("steady_samples_per_second");
  const Share share = shares(summary);
  const double gflops = rate * summary.at("flops_per_row").get<double>() / 1e9;
  return {{"name", summary.at("name")},
          {"workers", summary.at("workers")},
          {"servers", summary.at("servers")},
          {"threads", summary.at("threads")},
          {"policy", summary.at("policy")},
          {"steps", summary.at("steps")},
          {"samples_per_second", rate},
          {"gflops", gflops},
          {"peak_gflops", peak},
          {"share_of_peak", gflops / peak},
          {"time", {{"compute", share.compute}, {"wait", share.wait}, {"communicate", share.communicate}}},
          {"blas", summary.at("blas")}};
}

std::string render(const Json& report) {
  const Json& time = report.at("time");
  return fmt::format(
      "{}: {} worker{}, {} server{}, {} thread{} a role, {}, {} steps\n"
      "  samples      {} a second (after the first tenth)\n"
      "  arithmetic   {:.1f} GFLOP/s, {:.0f} % of this machine's {:.0f} GFLOP/s (sgemm of {} x {}, all cores, {})\n"
      "  workers      {:.1f} % compute, {:.1f} % wait, {:.1f} % communicate\n",
      report.at("name").get<std::string>(), report.at("workers").get<int>(), report.at("workers") == 1 ? "" : "s",
      report.at("servers").get<int>(), report.at("servers") == 1 ? "" : "s", report.at("threads").get<int>(),
      report.at("threads") == 1 ? "" : "s", report.at("policy").get<std::string>(), report.at("steps").get<Index>(),
      with_commas(static_cast<Index>(report.at("samples_per_second").get<double>())), report.at("gflops").get<double>(),
      100 * report.at("share_of_peak").get<double>(), report.at("peak_gflops").get<double>(), peak_side, peak_side,
      report.at("blas").get<std::string>(), 100 * time.at("compute").get<double>(), 100 * time.at("wait").get<double>(),
      100 * time.at("communicate").get<double>());
}

}  // namespace

int bench(const Options& options) {
  std::string warnings;
  const job::Job job = job::load_job(options.job, options.set, &warnings, launch::host_name());
  warn(warnings);
  role::prepare_threads(job);
  const launch::SocketFolder scratch;  // a fresh private folder that goes when we do
  role::RunRequest request;
  request.job = measured(job, options.steps > 0 ? options.steps : default_steps);
  if (!job.topology.hosts.empty()) request.listen = "tcp://*:*";
  request.out = (scratch.path() / "run").string();
  request.log = Log(level(options), "dtrain: ");
  request.progress = report::Progress::Mode::none;
  const role::RunResult result = role::run_job(request);
  if (result.exit_code != 0) return result.exit_code;
  const double peak = measure_peak(peak_side, launch::cores());
  const Json report = report_of(result.summary, peak);
  if (options.json)
    print_json(report);
  else
    print(render(report));
  return 0;
}

}  // namespace dtrain::cli
