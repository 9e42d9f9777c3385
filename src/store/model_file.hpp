#pragma once
/// model.safetensors: the trained network as others can load it, with all that eval and predict need.
///
/// Tensors are named and shaped as PyTorch would have them (layers.0.weight is [out, in], written transposed). The
/// metadata key "dtrain" holds JSON: the model's layers and loss, and the data's Encoding.

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "data/data.hpp"
#include "job/job.hpp"
#include "math/matrix.hpp"

namespace dtrain::store {

struct SavedModel {
  job::Model model;
  data::Encoding encoding;
  Arena weights;  ///< in the layout of model/layout.hpp
};

/// Replaces the file in one step, synced. Throws Error(Kind::environment).
void save_model(const std::filesystem::path& path, const job::Model& model, const data::Encoding& encoding,
                std::span<const float> weights);

/// Throws Error(Kind::checkpoint): not a safetensors file, not ours, a tensor missing or of another shape. Nothing in
/// the file is trusted.
SavedModel load_model(const std::filesystem::path& path);

/// The same from bytes in memory; `path` names them in messages.
SavedModel decode_model(std::string_view bytes, const std::string& path);

}  // namespace dtrain::store
