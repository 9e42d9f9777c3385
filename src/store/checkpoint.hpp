#pragma once
/// A training state on disk: written aside, synced, renamed, then DONE with checksums; and read back only if sound.
///
/// checkpoints/step-N/: state.safetensors ("weights" and "moment.0".. over the flat vector; "worker.0.weights" and
/// "worker.0.moment.0".. where workers keep any), progress.json, DONE (one
/// line a file: sha256, two blanks, name: `sha256sum -c DONE` checks it). A folder without DONE, or whose sums differ,
/// is not a checkpoint. Folders on the way in or out carry another name: .step-N.part is not complete yet,
/// step-N.replaced has been superseded and is still sound. One process at a time saves into a run.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "math/matrix.hpp"

namespace dtrain::store {

/// What a worker keeps of its own: its weights and moments where it steps by itself; where its gradients are packed,
/// what it has not sent of them, as `weights`, and its velocity, if it has one, as the moment.
struct OwnState {
  Arena weights;
  std::vector<Arena> moments;
};

/// All that resuming needs; the flat vectors are of the whole model, whatever the slices were.
struct State {
  std::uint64_t step = 0;  ///< bsp: steps applied. asp: the least clock
  Index applied_rows = 0;
  std::vector<std::uint64_t> clocks;  ///< per worker: its next step
  std::uint64_t updates = 0;          ///< optimizer steps taken (adam's t)
  Arena weights;
  std::vector<Arena> moments;    ///< all that owners keep beside the weights
  std::vector<OwnState> own;     ///< per worker, where workers keep anything; otherwise empty
  Json policy = Json::object();  ///< what the policy must know again
  Json facts;  ///< what must match on resume: data hash, layout, seed; and what is recorded: kernels, threads
};

/// Writes checkpoints/step-N below `run` and then removes all but the newest `keep` (at least 1) complete ones; the one
/// just written is always kept. An existing step-N is replaced. Throws Error(Kind::environment) and then leaves earlier
/// checkpoints alone.
/// Returns the folder.
std::filesystem::path save(const std::filesystem::path& run, const State& state, int keep);

/// The newest checkpoint that is sound; `skipped` collects a line for each newer one that is not.
std::optional<State> load_newest(const std::filesystem::path& run, std::vector<std::string>* skipped = nullptr);

/// One checkpoint; throws Error(Kind::checkpoint) that says what is wrong.
State load(const std::filesystem::path& folder);

/// The same from the bytes of state.safetensors and progress.json; `where` names them in messages.
State decode_state(std::string_view tensors, std::string_view progress, const std::string& where);

/// sha256 of weights as little-endian bytes, in hex: `weights.sha256` of a summary.
std::string weights_hash(std::span<const float> weights);

}  // namespace dtrain::store
