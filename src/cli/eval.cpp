#include "base/text.hpp"
#include "cli/columns.hpp"
#include "cli/output.hpp"
#include "cli/subject.hpp"
#include "cli/verbs.hpp"
#include "model/metrics.hpp"
#include "report/table.hpp"

namespace dtrain::cli {

int eval(const Options& options) {
  const Subject subject = load_subject(options, true);
  const data::Encoding& encoding = subject.saved.encoding;
  model::Metrics metrics(subject.saved.model.loss, encoding.target_scale, encoding.target_shift);
  show(subject, [&](Matrix outputs, std::span<const float> targets) { metrics.add(outputs, targets); });
  Json values = Json::object();
  std::string text = entry("rows", 8, with_commas(subject.rows->count()));
  for (const auto& [name, value] : metrics.result()) {
    values[name] = value;
    text += entry(name, 8, fmt::format("{:.6g}", report::without_nan_sign(value)));
  }
  if (options.json) {
    print_json(Json{{"model", options.model}, {"rows", subject.rows->count()}, {"metrics", values}});
  } else {
    print(text);
  }
  return 0;
}

}  // namespace dtrain::cli
