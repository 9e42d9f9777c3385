#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "optim/optimizer.hpp"
#include "optim/schedule.hpp"

using namespace dtrain;
using namespace dtrain::optim;
using Type = job::OptimizerType;

namespace {

const Type all_types[] = {Type::sgd,     Type::momentum, Type::nesterov, Type::adagrad,
                          Type::rmsprop, Type::adam,     Type::adamw};

std::vector<float> random_floats(std::size_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<float> out(count);
  for (float& value : out) value = static_cast<float>(static_cast<double>(engine()) / 2147483648.0 - 1);
  return out;
}

/// Weights and moments that step in place or out of place.
struct Trained {
  std::vector<float> weights, moments[max_state];
  explicit Trained(std::vector<float> w) : weights(std::move(w)) {
    for (auto& m : moments) m.assign(weights.size(), 0.0f);
  }
  bool operator==(const Trained& other) const {
    return weights == other.weights && moments[0] == other.moments[0] && moments[1] == other.moments[1];
  }
};

/// Steps elements [begin, end) from one to the other.
void step(const job::Optimizer& o, const StepInput& input, const std::vector<float>& gradient, bool decay,
          const Trained& from, Trained& to, std::size_t begin, std::size_t end) {
  std::span<const float> state[max_state];
  std::span<float> next[max_state];
  for (int k = 0; k < state_count(o.type); ++k) {
    state[k] = std::span(from.moments[k]).subspan(begin, end - begin);
    next[k] = std::span(to.moments[k]).subspan(begin, end - begin);
  }
  apply(o, input, std::span(gradient).subspan(begin, end - begin), decay,
        std::span(from.weights).subspan(begin, end - begin), state, std::span(to.weights).subspan(begin, end - begin),
        next);
}

/// One element in double, by the papers' formulas as torch.optim states them.
struct Reference {
  double w, m = 0, v = 0;
  void step(const job::Optimizer& o, double rate, double t, double g, double decay) {
    if (o.type == Type::adamw)
      w -= rate * decay * w;
    else
      g += decay * w;
    switch (o.type) {
      case Type::sgd: w -= rate * g; return;
      case Type::momentum: m = o.momentum * m + g, w -= rate * m; return;
      case Type::nesterov: m = o.momentum * m + g, w -= rate * (g + o.momentum * m); return;
      case Type::adagrad: m += g * g, w -= rate * g / (std::sqrt(m) + o.epsilon); return;
      case Type::rmsprop:
        m = o.decay_rate * m + (1 - o.decay_rate) * g * g, w -= rate * g / (std::sqrt(m) + o.epsilon);
        return;
      case Type::adam:
      case Type::adamw:
        m = o.beta1 * m + (1 - o.beta1) * g, v = o.beta2 * v + (1 - o.beta2) * g * g;
        w -= rate * (m / (1 - std::pow(o.beta1, t))) / (std::sqrt(v / (1 - std::pow(o.beta2, t))) + o.epsilon);
    }
  }
};

}  // namespace

TEST_CASE("four steps of every optimizer give the weights that PyTorch 2 gives") {
  const struct {
    Type type;
    double weights[4];
  } expected[] = {
      {Type::sgd, {0.522972963011, -1.24497747502, 1.91200196203, -0.0003000001}},
      {Type::momentum, {0.550581649661, -1.26734455515, 1.91342243563, -0.0002908201}},
      {Type::nesterov, {0.568501677395, -1.26058064377, 1.83413358866, -0.0005615928859}},
      {Type::adagrad, {0.41327020786, -1.20021606924, 1.87650821595, -0.0831857416408}},
      {Type::rmsprop, {-0.296315207692, -0.759427265582, 0.773293223714, -0.317658860381}},
      {Type::adam, {0.372649791186, -1.21302168783, 1.89265735049, -0.058899174419}},
      {Type::adamw, {0.373307443808, -1.21999143983, 1.89625864881, -0.0810428150292}},
  };
  const std::vector<float> gradients[] = {
      {0.1f, -0.2f, 0.3f, 0.0f}, {0.05f, 0.4f, -0.6f, 1e-3f}, {-0.7f, 0.1f, 0.2f, -2e-3f}, {0.3f, -0.3f, 0.9f, 4e-3f}};
  for (const auto& [type, weights] : expected) {
    CAPTURE(static_cast<int>(type));
    job::Optimizer o;
    o.type = type;
    o.weight_decay = 0.01;
    Trained now({0.5f, -1.25f, 2.0f, 0.0f}), next = now;
    for (std::uint64_t t = 1; t <= 4; ++t, std::swap(now, next))
      step(o, {.learning_rate = 0.1, .step = t}, gradients[t - 1], true, now, next, 0, 4);
    for (std::size_t k = 0; k < 4; ++k)
      CHECK(static_cast<double>(now.weights[k]) == doctest::Approx(weights[k]).epsilon(2e-6));
  }
}

TEST_CASE("every optimizer follows its formula in double over many steps, with and without decay") {
  for (const Type type : all_types)
    for (const bool decay : {false, true}) {
      CAPTURE(static_cast<int>(type));
      CAPTURE(decay);
      job::Optimizer o;
      o.type = type;
      o.weight_decay = 0.02;
      const std::size_t count = 100;
      Trained now(random_floats(count, 1)), next = now;
      std::vector<Reference> reference;
      for (const float w : now.weights) reference.push_back({static_cast<double>(w)});
      for (std::uint64_t t = 1; t <= 20; ++t, std::swap(now, next)) {
        const auto gradient = random_floats(count, static_cast<std::uint32_t>(t + 1));
        step(o, {.learning_rate = 0.01, .step = t, .gradient_factor = 0.5f}, gradient, decay, now, next, 0, count);
        for (std::size_t k = 0; k < count; ++k)
          reference[k].step(o, 0.01, static_cast<double>(t), 0.5 * static_cast<double>(gradient[k]), decay ? 0.02 : 0);
      }
      for (std::size_t k = 0; k < count; ++k)
        CHECK(std::abs(static_cast<double>(now.weights[k]) - reference[k].w) < 5e-6);
    }
}

TEST_CASE("a step in pieces or in place has the bits of one step over the whole") {
  const std::size_t count = 5003;
  for (const Type type : all_types)
    for (const bool decay : {false, true}) {
      CAPTURE(static_cast<int>(type));
      job::Optimizer o;
      o.type = type;
      o.weight_decay = 0.1;
      const auto gradient = random_floats(count, 3);
      Trained start(random_floats(count, 1));
      for (auto& m : start.moments) {
        m = random_floats(count, 2);
        for (float& value : m) value = std::abs(value);
      }
      const StepInput input{.learning_rate = 0.3, .step = 5, .gradient_factor = 0.7f};
      Trained whole = start, pieces = start, in_place = start;
      step(o, input, gradient, decay, start, whole, 0, count);
      for (std::size_t begin = 0; begin < count; begin += 701)
        step(o, input, gradient, decay, start, pieces, begin, std::min(count, begin + 701));
      step(o, input, gradient, decay, in_place, in_place, 0, count);
      CHECK(pieces == whole);
      CHECK(in_place == whole);
      CHECK_FALSE(whole.weights == start.weights);
    }
}

TEST_CASE("plain sgd subtracts the rounded product, bit for bit") {
  const auto weights = random_floats(1000, 1), gradient = random_floats(1000, 2);
  Trained from(weights), to(weights);
  step({}, {.learning_rate = 0.05}, gradient, false, from, to, 0, 1000);
  for (std::size_t k = 0; k < 1000; ++k) {
    const volatile float move = 0.05f * gradient[k];
    CHECK(to.weights[k] == weights[k] - move);
  }
}

TEST_CASE("without decay a weight that is infinite does not spoil the gradient of momentum") {
  job::Optimizer o;
  o.type = Type::momentum;
  Trained from({std::numeric_limits<float>::infinity()}), to = from;
  step(o, {.learning_rate = 0.1}, {1.0f}, true, from, to, 0, 1);
  CHECK(to.moments[0][0] == 1.0f);
}

TEST_CASE("a gradient that is not a number reaches the weights under every optimizer") {
  for (const Type type : all_types) {
    job::Optimizer o;
    o.type = type;
    Trained from({1.0f}), to = from;
    step(o, {.learning_rate = 0.1}, {std::numeric_limits<float>::quiet_NaN()}, false, from, to, 0, 1);
    CHECK(std::isnan(to.weights[0]));
  }
}

TEST_CASE("clipping leaves small gradients alone and brings large ones to the norm") {
  CHECK(clip_factor(0, 100) == 1.0f);
  CHECK(clip_factor(2, 1) == 1.0f);
  CHECK(clip_factor(2, 0) == 1.0f);
  CHECK(clip_factor(1, 100) == static_cast<float>(1 / (10 + 1e-6)));
}

TEST_CASE("the warm-up is linear in steps and ends at the base rate") {
  job::Schedule schedule;
  schedule.warmup = {10, job::Unit::step};
  for (Index k = 0; k < 20; ++k) {
    const Progress progress{.applied_rows = 32 * k, .rows_per_epoch = 1000, .batch = 32, .total_rows = 10000};
    CHECK(learning_rate(schedule, 0.5, progress) ==
          doctest::Approx(0.5 * static_cast<double>(std::min<Index>(k + 1, 10)) / 10));
  }
}

TEST_CASE("schedules count from the warm-up's end") {
  job::Schedule schedule;
  schedule.warmup = {1, job::Unit::epoch};
  schedule.every = {2, job::Unit::epoch};
  schedule.factor = 0.1;
  const auto rate = [&](double epoch) {
    return learning_rate(
        schedule, 1,
        {.applied_rows = static_cast<Index>(epoch * 1000), .rows_per_epoch = 1000, .batch = 10, .total_rows = 11000});
  };
  schedule.type = job::ScheduleType::step;
  CHECK(rate(1) == 1);
  CHECK(rate(2.99) == 1);
  CHECK(rate(3) == doctest::Approx(0.1));
  CHECK(rate(5) == doctest::Approx(0.01));
  schedule.type = job::ScheduleType::exponential;
  CHECK(rate(1) == 1);
  CHECK(rate(2) == doctest::Approx(std::sqrt(0.1)));
  CHECK(rate(3) == doctest::Approx(0.1));
  schedule.type = job::ScheduleType::cosine;
  schedule.floor = 0.2;
  CHECK(rate(1) == 1);
  CHECK(rate(6) == doctest::Approx(0.6));
  CHECK(rate(11) == doctest::Approx(0.2));
  CHECK(rate(12) == doctest::Approx(0.2));
  schedule.type = job::ScheduleType::constant;
  CHECK(rate(7) == 1);
}

TEST_CASE("a schedule that never comes leaves the rate alone") {
  job::Schedule schedule;
  schedule.type = job::ScheduleType::step;
  schedule.every = {0, job::Unit::epoch};
  CHECK(learning_rate(schedule, 0.3, {.applied_rows = 5000, .rows_per_epoch = 10, .batch = 1, .total_rows = 9000}) ==
        0.3);
}

TEST_CASE("lengths become rows by their unit") {
  const Progress progress{.applied_rows = 0, .rows_per_epoch = 600, .batch = 32, .total_rows = 1};
  CHECK(rows_of({3, job::Unit::step}, progress) == 96);
  CHECK(rows_of({0.5, job::Unit::epoch}, progress) == 300);
}
