#include "plan/describe_cells.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "plan/splitting.hpp"

namespace dtrain::plan {
namespace {

const char* schedule_name(const Plan& plan) {
  return plan.job.topology.split.schedule == job::PipelineSchedule::gpipe ? "gpipe" : "1f1b";
}

std::string counted(std::int64_t count, const char* one, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

double work_share(const Plan& plan, const Plan& part) { return part.flops_per_row() / plan.flops_per_row(); }

Json layers_json(const model::Cell& cell) {
  Json layers = Json::array();
  for (int i = 0; i < cell.layers(); ++i) {
    Json layer{{"layer", cell.first_layer + i}};
    if (!cell.cuts.empty()) {
      const auto rank = static_cast<std::size_t>(cell.rank);
      const model::LayerCut& cut = cell.cuts[static_cast<std::size_t>(i)];
      layer["split"] = form_name(cut);
      layer["begin"] = cut.borders[rank];
      layer["end"] = cut.borders[rank + 1];
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace

std::string grid_words(const Plan& plan) {
  const Grid& grid = plan.grid;
  return fmt::format("{}: {} of {} x {}", counted(plan.processes(), "worker", "workers"),
                     counted(grid.data, "replica", "replicas"), counted(grid.pipeline, "stage", "stages"), grid.tensor);
}

std::string pipeline_words(const Plan& plan) {
  if (plan.grid.pipeline == 1) return "";
  const std::int64_t pieces = *plan.job.train.micro_batches;
  return fmt::format("{}, {} of {} rows; at best a stage waits {:.3g} % of the time", schedule_name(plan),
                     counted(pieces, "micro-batch", "micro-batches"), micro_batch_rows(plan), 100 * ideal_bubble(plan));
}

std::string replica_words(const Plan& plan) {
  const ReplicaBytes bytes = replica_bytes(plan);
  std::string words;
  if (plan.grid.pipeline > 1) words += human_bytes(bytes.stages) + " a step between stages";
  if (plan.grid.tensor > 1)
    words += fmt::format("{}{} {}within tensor groups", words.empty() ? "" : ", ", human_bytes(bytes.groups),
                         words.empty() ? "a step " : "");
  return words + ", in each replica";
}

std::string cells_table(const Plan& plan) {
  std::size_t widest = 6;
  for (const Plan& part : plan.cells) widest = std::max(widest, cut_words(part.cell).size());
  std::string out = fmt::format("{:<10} {:>5} {:>6}  {:<{}} {:>13} {:>6} {:>9}\n", "cell", "stage", "tensor", "layers",
                                widest, "weights", "work", "memory");
  for (std::size_t c = 0; c < plan.cells.size(); ++c) {
    const Plan& part = plan.cells[c];
    out += fmt::format("{:<10} {:>5} {:>6}  {:<{}} {:>13} {:>4.0f} % {:>9}\n", c, part.cell.stage + 1, part.cell.rank,
                       cut_words(part.cell), widest, with_commas(part.layout.total), 100 * work_share(plan, part),
                       human_bytes(double(worker_memory(part).total())));
  }
  return out;
}

Json cells_json(const Plan& plan) {
  const ReplicaBytes bytes = replica_bytes(plan);
  Json out;
  out["grid"] = {{"replicas", plan.grid.data}, {"pipeline", plan.grid.pipeline}, {"tensor", plan.grid.tensor}};
  out["schedule"] = schedule_name(plan);
  out["micro_batches"] = *plan.job.train.micro_batches;
  out["ideal_bubble"] = ideal_bubble(plan);
  out["replica_bytes_per_step"] = {{"stages", bytes.stages}, {"groups", bytes.groups}};
  out["cells"] = Json::array();
  for (const Plan& part : plan.cells)
    out["cells"].push_back({{"stage", part.cell.stage + 1},
                            {"tensor_rank", part.cell.rank},
                            {"layers", layers_json(part.cell)},
                            {"weights", part.layout.total},
                            {"work", work_share(plan, part)},
                            {"memory_bytes", worker_memory(part).total()}});
  return out;
}

}  // namespace dtrain::plan
