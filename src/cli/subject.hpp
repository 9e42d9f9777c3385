#pragma once
/// A trained model and the rows that it is shown: what eval and predict have in common.

#include <functional>
#include <memory>
#include <span>

#include "cli/options.hpp"
#include "data/data.hpp"
#include "math/matrix.hpp"
#include "store/model_file.hpp"

namespace dtrain::cli {

struct Subject {
  store::SavedModel saved;
  std::unique_ptr<data::Rows> rows;
};

/// From RUN|MODEL, --data, --labels, --job and --set. How the data is written is taken from --job, else from the run's
/// resolved.yaml, else from the model's encoding alone. Without --data the rows are that job's test part.
/// Throws Error(Kind::usage) where nothing says which rows, Error(Kind::checkpoint) for the model and
/// Error(Kind::data) for the rows.
Subject load_subject(const Options& options, bool labels_required);

/// Calls `use` with the model's outputs before the loss and the targets, piece by piece, in the order of the rows.
void show(const Subject& subject, const std::function<void(Matrix outputs, std::span<const float> targets)>& use);

}  // namespace dtrain::cli
