/// make_run JOB RUN: the folder of a run that never took place, with weights that a person can compute with.
///
/// Weight k of the flat vector is k % 3 - 1, so that the verbs that look at finished runs are tested apart from
/// training, and their output can be written down.

#include <cstdio>

#include "base/file.hpp"
#include "base/json.hpp"
#include "data/data.hpp"
#include "job/read.hpp"
#include "model/layout.hpp"
#include "store/checkpoint.hpp"
#include "store/model_file.hpp"

namespace {

using namespace dtrain;

Arena plain_weights(Index count) {
  Arena weights(count);
  for (Index k = 0; k < count; ++k) weights.span()[static_cast<std::size_t>(k)] = static_cast<float>(k % 3 - 1);
  return weights;
}

void make_run(const std::string& file, const fs::path& run) {
  const job::Job job = job::load_job(file, {});
  const data::Survey survey = data::survey(job);
  const Index count = model::make_layout(job.model, survey.encoding.width).total;
  make_folder(run);
  write_file(run / "resolved.yaml", job::write_job(job));
  store::save_model(run / "model.safetensors", job.model, survey.encoding, plain_weights(count).span());
  store::State state;
  state.step = 4;
  state.applied_rows = 40;
  state.clocks = {4, 4};
  state.updates = 4;
  state.weights = plain_weights(count);
  state.facts = {{"seed", job.seed}};
  store::save(run, state, 3);
  const Json summary = {{"name", job.name},
                        {"status", "done"},
                        {"steps", 4},
                        {"seconds", 2.0},
                        {"samples_per_second", 20.0},
                        {"test", {{"loss", 0.5}}},
                        {"weights", {{"count", count}, {"sha256", store::weights_hash(state.weights.span())}}}};
  write_file(run / "summary.json", summary.dump());
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  try {
    make_run(words[1], words[2]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
