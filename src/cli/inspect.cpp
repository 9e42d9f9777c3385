#include <algorithm>
#include <cmath>
#include <optional>

#include "base/file.hpp"
#include "base/text.hpp"
#include "cli/columns.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "report/summary.hpp"
#include "store/checkpoint.hpp"
#include "store/tensors.hpp"

namespace dtrain::cli {
namespace {

/// Norm, extremes and soundness of some numbers; the extremes are of the finite ones, null without any.
Json describe(const std::string& name, const std::vector<Index>& shape, std::span<const float> values) {
  double squares = 0;
  float low = INFINITY, high = -INFINITY;
  Index not_finite = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) {
      ++not_finite;
      continue;
    }
    squares += double(value) * double(value);
    low = std::min(low, value), high = std::max(high, value);
  }
  return {{"name", name},
          {"shape", shape},
          {"norm", std::sqrt(squares)},
          {"min", low <= high ? Json(low) : Json()},
          {"max", low <= high ? Json(high) : Json()},
          {"finite", not_finite == 0},
          {"not_finite", not_finite}};
}

std::string number(const Json& value) { return value.is_null() ? "-" : fmt::format("{:.6g}", value.get<double>()); }

std::string render_tensors(const Json& tensors) {
  std::string text = fmt::format("  {:<20} {:>14} {:>12} {:>12} {:>12}\n", "tensor", "shape", "norm", "min", "max");
  for (const Json& tensor : tensors) {
    const std::string shape = fmt::format("{}", fmt::join(tensor["shape"].get<std::vector<Index>>(), " x "));
    text += fmt::format("  {:<20} {:>14} {:>12} {:>12} {:>12}", tensor["name"].get<std::string>(), shape,
                        number(tensor["norm"]), number(tensor["min"]), number(tensor["max"]));
    const auto not_finite = tensor["not_finite"].get<Index>();
    text += not_finite == 0 ? "\n" : fmt::format("  {} not finite\n", with_commas(not_finite));
  }
  return text;
}

/// Metadata that is JSON is shown as such, anything else as text.
Json metadata_of(const store::TensorFile& file) {
  Json metadata = Json::object();
  for (const auto& [key, value] : file.metadata) {
    Json parsed = Json::parse(value, nullptr, false);
    metadata[key] = parsed.is_object() ? parsed : Json(value);
  }
  return metadata;
}

int inspect_tensors(const Options& options) {
  const store::TensorFile file = store::read_tensors(options.path, Kind::checkpoint);
  Json tensors = Json::array();
  Index total = 0;
  for (const auto& [name, entry] : file.tensors) {
    tensors.push_back(describe(name, entry.shape, entry.values));
    total += static_cast<Index>(entry.values.size());
  }
  const Json metadata = metadata_of(file);
  if (options.json) {
    print_json(Json{
        {"kind", "tensors"}, {"path", options.path}, {"weights", total}, {"tensors", tensors}, {"metadata", metadata}});
    return 0;
  }
  std::string text = fmt::format("{}: {} numbers in {} tensors\n\n", options.path, with_commas(total), tensors.size());
  text += render_tensors(tensors);
  for (const auto& [key, value] : metadata.items()) text += fmt::format("\nmetadata {}:\n{}\n", key, value.dump(2));
  print(text);
  return 0;
}

int inspect_checkpoint(const Options& options) {
  const store::State state = store::load(options.path);
  Json tensors = Json::array();
  tensors.push_back(describe("weights", {state.weights.size()}, state.weights.span()));
  for (std::size_t k = 0; k < state.moments.size(); ++k)
    tensors.push_back(describe(fmt::format("moment.{}", k), {state.moments[k].size()}, state.moments[k].span()));
  const std::string hash = store::weights_hash(state.weights.span());
  if (options.json) {
    print_json(Json{{"kind", "checkpoint"},
                    {"path", options.path},
                    {"step", state.step},
                    {"applied_rows", state.applied_rows},
                    {"updates", state.updates},
                    {"clocks", state.clocks},
                    {"weights_sha256", hash},
                    {"tensors", tensors},
                    {"facts", state.facts}});
    return 0;
  }
  print(fmt::format("{}: a sound checkpoint\n\n", options.path) + entry("step", 14, fmt::format("{}", state.step)) +
        entry("rows", 14, with_commas(state.applied_rows)) + entry("updates", 14, fmt::format("{}", state.updates)) +
        entry("worker clocks", 14, fmt::format("{}", fmt::join(state.clocks, " "))) +
        entry("weights sha256", 14, hash) + "\n" + render_tensors(tensors) +
        fmt::format("\nfacts:\n{}\n", state.facts.dump(2)));
  return 0;
}

int inspect_run(const Options& options) {
  const fs::path run = options.path;
  std::error_code ignored;
  const bool ended = fs::exists(run / "summary.json", ignored);
  const Json summary = ended ? report::read_summary(run) : Json();
  std::vector<std::string> skipped;
  const std::optional<store::State> newest = store::load_newest(run, &skipped);
  if (options.json) {
    print_json(Json{{"kind", "run"},
                    {"path", options.path},
                    {"summary", summary},
                    {"newest_checkpoint", newest ? Json(newest->step) : Json()},
                    {"unsound_checkpoints", skipped}});
    return 0;
  }
  std::string text = ended ? report::render_summary(summary) : options.path + ": a run that has not ended\n";
  text += "\n" + entry("newest checkpoint", 17, newest ? fmt::format("step {}", newest->step) : "none");
  for (const std::string& line : skipped) text += entry("not sound", 17, line);
  print(text);
  return 0;
}

}  // namespace

int inspect(const Options& options) {
  const fs::path path = options.path;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) fail(Kind::usage, "there is no {}", options.path);
  if (!fs::is_directory(path, ignored)) return inspect_tensors(options);
  if (fs::exists(path / "resolved.yaml", ignored)) return inspect_run(options);
  if (fs::exists(path / "progress.json", ignored)) return inspect_checkpoint(options);
  fail(Kind::usage, "{} is neither the folder of a run (with resolved.yaml) nor of a checkpoint (with progress.json)",
       options.path);
}

}  // namespace dtrain::cli
