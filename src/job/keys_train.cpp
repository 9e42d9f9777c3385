#include "job/fields.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

void add_optimizer_keys(Keys& keys) {
  keys.push_back(map_key("train.optimizer", "How a gradient becomes a step; formulas and defaults as in torch.optim."));
  keys.push_back(choice_key<OptimizerType>("train.optimizer.type", JOB_FIELD(train.optimizer.type),
                                           {{"sgd", OptimizerType::sgd},
                                            {"momentum", OptimizerType::momentum},
                                            {"nesterov", OptimizerType::nesterov},
                                            {"adagrad", OptimizerType::adagrad},
                                            {"rmsprop", OptimizerType::rmsprop},
                                            {"adam", OptimizerType::adam},
                                            {"adamw", OptimizerType::adamw}},
                                           "sgd", "The optimizer."));
  keys.push_back(number_key("train.optimizer.learning_rate", JOB_FIELD(train.optimizer.learning_rate), above(0), "0.05",
                            "Length of a step; what the schedule multiplies."));
  keys.push_back(number_key("train.optimizer.momentum", JOB_FIELD(train.optimizer.momentum), from_to_below(0, 1), "0.9",
                            "Share of the last step kept in the next, of momentum and nesterov."));
  keys.push_back(number_key("train.optimizer.beta1", JOB_FIELD(train.optimizer.beta1), from_to_below(0, 1), "0.9",
                            "Decay of the running mean of gradients, of adam and adamw."));
  keys.push_back(number_key("train.optimizer.beta2", JOB_FIELD(train.optimizer.beta2), from_to_below(0, 1), "0.999",
                            "Decay of the running mean of squared gradients, of adam and adamw."));
  keys.push_back(number_key("train.optimizer.decay_rate", JOB_FIELD(train.optimizer.decay_rate), from_to_below(0, 1),
                            "0.99", "Decay of the running mean of squared gradients, of rmsprop."));
  keys.push_back(number_key("train.optimizer.epsilon", JOB_FIELD(train.optimizer.epsilon), above(0), "1e-08",
                            "Added to the root of squared gradients, of adagrad, rmsprop, adam and adamw."));
  keys.push_back(number_key("train.optimizer.weight_decay", JOB_FIELD(train.optimizer.weight_decay), at_least(0), "0",
                            "Pull of weights towards 0, never of biases; decoupled from the gradient in adamw."));
}

void add_schedule_keys(Keys& keys) {
  keys.push_back(map_key("train.schedule", "How the learning rate changes while training goes on."));
  keys.push_back(choice_key<ScheduleType>("train.schedule.type", JOB_FIELD(train.schedule.type),
                                          {{"constant", ScheduleType::constant},
                                           {"step", ScheduleType::step},
                                           {"exponential", ScheduleType::exponential},
                                           {"cosine", ScheduleType::cosine}},
                                          "constant", "Shape of the schedule after the warm-up."));
  keys.push_back(length_key("train.schedule.warmup", JOB_FIELD(train.schedule.warmup), false, "0",
                            "Length over which the rate first rises from 0; 0 leaves the warm-up out."));
  keys.push_back(length_key("train.schedule.every", JOB_FIELD(train.schedule.every), false, "1 epoch",
                            "Length after which the factor has been applied once, of step and exponential."));
  keys.push_back(number_key("train.schedule.factor", JOB_FIELD(train.schedule.factor),
                            {.low = 0, .high = 1, .low_open = true}, "0.5",
                            "What the rate is multiplied by, of step and exponential."));
  keys.push_back(number_key("train.schedule.floor", JOB_FIELD(train.schedule.floor), between(0, 1), "0",
                            "The last rate of cosine, as a share of the first."));
}

}  // namespace

void add_train_keys(Keys& keys) {
  keys.push_back(map_key("train", "How long and how to train."));
  keys.push_back(in_unit(
      integer_key("train.epochs", JOB_FIELD(train.epochs), between(1, 1e9), "1", "How often every row is visited."),
      "epochs"));
  keys.push_back(in_unit(integer_key("train.steps", JOB_FIELD(train.steps), between(0, 1e12), "0",
                                     "Ends training after so many steps, if that is before the epochs; 0 never does."),
                         "steps"));
  keys.push_back(in_unit(integer_key("train.batch", JOB_FIELD(train.batch), between(1, 1e8), "128",
                                     "Rows of a step over all workers; never multiplied by their number."),
                         "rows"));
  keys.push_back(auto_integer_key("train.micro_batches", JOB_FIELD(train.micro_batches), between(1, 1e6),
                                  "Pieces in which each worker computes its part of a batch, to need less memory or, "
                                  "where the network is a pipeline, to keep all stages busy; auto is four a stage of "
                                  "a pipeline, and 1 without."));
  add_optimizer_keys(keys);
  keys.push_back(number_key("train.clip_norm", JOB_FIELD(train.clip_norm), at_least(0), "0",
                            "Gradients longer than this are shortened to it; 0 leaves them alone."));
  add_schedule_keys(keys);
  keys.push_back(choice_key<OnNonfinite>("train.on_nonfinite", JOB_FIELD(train.on_nonfinite),
                                         {{"stop", OnNonfinite::stop}, {"ignore", OnNonfinite::ignore}}, "stop",
                                         "What happens when the loss or a weight is no longer a finite number."));
  keys.push_back(length_key("train.evaluate", JOB_FIELD(train.evaluate), false, "1 epoch",
                            "Length between evaluations on the test rows; 0 evaluates at the end only."));
  keys.push_back(choice_key<SparseUpdates>(
      "train.sparse", JOB_FIELD(train.sparse),
      {{"off", SparseUpdates::off}, {"exact", SparseUpdates::exact}, {"lazy", SparseUpdates::lazy}}, "exact",
      "Where rows are mostly zeros, what becomes of first-layer weights whose features do not occur in a step: exact: "
      "moments and decay are caught up with when they next do; lazy: nothing; off: rows are treated as dense."));
}

}  // namespace dtrain::job
