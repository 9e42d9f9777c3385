#pragma once
/// The third question: how an owner applies a fold, and how a worker takes in what comes back.
///
/// Gradients are applied by the optimizer (optim/optimizer.hpp), after what is here has corrected them; folded weights
/// by one of the rules here. Flat passes over equally long spans; `next` may be the same memory as `current`. Pure; any
/// thread. Sources: Zhang, Choromanska and LeCun 2015 (elastic), Chen and Huo 2016 (block), Zheng et al. 2017 (delay).

#include <span>
#include <variant>

#include "job/job.hpp"

namespace dtrain::sync {

struct OptimizerStep {};  ///< the fold is a gradient
struct Vote {};           ///< the fold counts signs: the step of the majority (sync/vote.hpp)
struct Average {};        ///< the fold is the weights
/// c += alpha * (x - c), x one worker's weights; that worker: x -= alpha * (x_pushed - c before).
struct Elastic {
  float alpha;
};
/// G = fold - start; D = momentum * D + rate * G; w += D; next start: w, or w + momentum * D.
struct Block {
  float momentum, rate;
  bool nesterov;
};
using Update = std::variant<OptimizerStep, Vote, Average, Elastic, Block>;

/// `sync` is resolved.
Update update_of(const job::Sync& sync);

/// Arenas that an owner keeps beside the weights for this: bmuf D and w; compensation delay with adaptive_lambda the
/// mean squares. They stand behind the optimizer's moments, if the owner steps an optimizer.
int extra_arenas(const job::Sync& sync);

void pull_centre(const Elastic& rule, std::span<const float> pushed, std::span<const float> centre,
                 std::span<float> next_centre);
void pull_worker(const Elastic& rule, std::span<const float> pushed, std::span<const float> centre,
                 std::span<float> weights);

/// `start`: where the block began; `change`: D; `model`: w.
void step_block(const Block& rule, std::span<const float> average, std::span<const float> start,
                std::span<const float> change, std::span<const float> model, std::span<float> next_start,
                std::span<float> next_change, std::span<float> next_model);

/// out = g + lambda * g * g * (w - w_pulled).
void compensate_delay(float lambda, std::span<const float> gradient, std::span<const float> weights,
                      std::span<const float> pulled, std::span<float> out);
/// The same with lambda / sqrt(MS + 1e-7) for each weight, MS = 0.95 MS + 0.05 g * g.
void compensate_delay(float lambda, std::span<const float> gradient, std::span<const float> weights,
                      std::span<const float> pulled, std::span<const float> mean_squares, std::span<float> next_squares,
                      std::span<float> out);

}  // namespace dtrain::sync
