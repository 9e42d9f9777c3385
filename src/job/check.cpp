#include "job/check.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "job/key.hpp"
#include "job/resolve.hpp"

namespace dtrain::job {

Rules::Rules(const Job& whole, const Given& given, Findings& findings)
    : job(whole), copy_(whole), given_(given), findings_(findings) {
  set_defaults(defaults_);
  for (const Key& key : table()) {
    if (key.shape != Shape::list_of_maps) continue;
    key.list.resize(defaults_, 1);
    set_entry_defaults(defaults_, key.info.path, 0);
  }
  resolved_ = defaults_;
  resolved_.sync = resolve_sync(defaults_.sync, whole.topology.data_ranks());
}

bool Rules::sound(Paths paths) const {
  return std::none_of(paths.begin(), paths.end(), [&](const std::string& path) {
    for (std::string at = path; !at.empty(); at = parent_of(at))
      if (given_.broken.count(at) > 0) return true;
    return false;
  });
}

bool Rules::changed(const std::string& path) const {
  if (!given(path) || !sound({path})) return false;
  const std::size_t open = path.find('['), close = path.find(']');
  const bool in_entry = open != std::string::npos && close != std::string::npos;
  const Key* key = find(in_entry ? path.substr(0, open + 1) + path.substr(close) : path);
  if (!key || !key->get) return false;
  const auto entry = in_entry ? parse_integer(path.substr(open + 1, close - open - 1)).value_or(0) : 0;
  Job now = copy_, then = defaults_, resolved = resolved_;
  const std::string value = key->get(now, static_cast<std::size_t>(entry));
  return value != key->get(then, 0) && value != key->get(resolved, 0);
}

void Rules::idle(const std::string& path, const std::string& why) {
  if (changed(path)) warning({path}, "{} has no effect: {}", path, why);
}

Spot Rules::spot(Paths paths) const {
  for (const std::string& path : paths)
    if (const auto found = given_.spots.find(path); found != given_.spots.end()) return found->second;
  return {};
}

void check_name(Rules& rules) {
  const std::string& name = rules.job.name;
  if (!rules.given("name") || !rules.sound({"name"})) return;
  constexpr std::size_t longest = 200;  // of a file's name of 255 bytes; NAME-17 has to fit too
  if (name.size() > longest)
    return rules.error({"name"}, "name becomes the name of the run's folder: it may have {} bytes, this one has {}",
                       longest, name.size());
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    rules.error({"name"},
                "name becomes the name of the run's folder: it may not be empty, . or .., nor have a /, got {}",
                in_quotes(name));
}

void check_assertions(Rules& rules) {
  if (!rules.sound({"assert", "model.loss"})) return;
  std::vector<std::string> metrics{"train.loss", "test.loss"};
  switch (rules.job.model.loss) {
    case Loss::softmax_cross_entropy: metrics.insert(metrics.end(), {"test.accuracy", "test.log_loss"}); break;
    case Loss::binary_cross_entropy:
      metrics.insert(metrics.end(), {"test.accuracy", "test.log_loss", "test.auc"});
      break;
    case Loss::mean_squared_error: metrics.insert(metrics.end(), {"test.rmse", "test.mae", "test.r2"}); break;
  }
  metrics.insert(metrics.end(), {"seconds", "samples_per_second", "steps", "epochs"});
  for (std::size_t i = 0; i < rules.job.assertions.size(); ++i) {
    const std::string& metric = rules.job.assertions[i].metric;
    const std::string path = fmt::format("assert[{}]", i);
    if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end()) {
      const std::string hint = did_you_mean(metric, metrics);
      rules.error({path}, "no metric of this job is called {}{}", in_quotes(metric),
                  hint.empty() ? "; there are " + in_words(metrics) : hint);
    } else if (metric.substr(0, 5) == "test." && !has_test_part(rules.job.data) && rules.sound({"data"})) {
      rules.error({path}, "{} needs test rows: give data.test or data.holdout", metric);
    }
  }
}

void check(const Job& job, const Given& given, Findings& findings) {
  if (given.broken.count("") > 0) return;
  Rules rules(job, given, findings);
  check_name(rules);
  check_model(rules);
  check_data(rules);
  check_train(rules);
  check_cluster(rules);
  check_sync(rules);
  check_assertions(rules);
}

}  // namespace dtrain::job
