#include <doctest/doctest.h>

#include <array>
#include <random>

#include "optim/catch_up.hpp"

using namespace dtrain;
using namespace dtrain::optim;
using Type = job::OptimizerType;

namespace {

constexpr std::size_t count = 19;
const Type all_types[] = {Type::sgd,     Type::momentum, Type::nesterov, Type::adagrad,
                          Type::rmsprop, Type::adam,     Type::adamw};

struct State {
  std::vector<float> weights = std::vector<float>(count);
  std::array<std::vector<float>, max_state> moments{std::vector<float>(count), std::vector<float>(count)};
  bool operator==(const State&) const = default;
  std::array<std::span<float>, max_state> spans() { return {std::span(moments[0]), std::span(moments[1])}; }
};

StepInput input_of(std::uint64_t step) { return {0.1 / (1 + 0.01 * static_cast<double>(step % 7)), step, 0.75f}; }

void step(const job::Optimizer& optimizer, State& state, std::uint64_t number, std::span<const float> gradient) {
  const auto moments = state.spans();
  const std::array<std::span<const float>, max_state> before{moments[0], moments[1]};
  apply(optimizer, input_of(number), gradient, true, state.weights, before.data(), state.weights, moments.data());
}

State random_state(std::mt19937& engine, const job::Optimizer& optimizer) {
  State state;
  std::vector<float> gradient(count);
  for (float& w : state.weights) w = static_cast<float>(engine() % 2000) / 1000 - 1;
  for (std::uint64_t number = 1; number <= 3; ++number) {
    for (float& g : gradient) g = engine() % 4 == 0 ? 0 : static_cast<float>(engine() % 2000) / 1000 - 1;
    step(optimizer, state, number, gradient);
  }
  return state;
}

}  // namespace

TEST_CASE("catching up has the bits of the steps done one by one without a gradient, however it is divided") {
  std::mt19937 engine(11);
  const std::vector<float> nothing(count);
  for (const Type type : all_types)
    for (const double decay : {0.0, 0.01})
      for (const std::size_t steps : {1, 5, 40, 700, 3000}) {
        job::Optimizer optimizer;
        optimizer.type = type;
        optimizer.weight_decay = decay;
        CatchUp catch_up(optimizer, true);
        State one_by_one = random_state(engine, optimizer);
        State at_once = one_by_one, divided = one_by_one;
        for (std::uint64_t number = 4; number < 4 + steps; ++number) {
          step(optimizer, one_by_one, number, nothing);
          catch_up.note(input_of(number));
          if (number == 4 + steps / 3) catch_up.apply(0, divided.weights, divided.spans().data());
        }
        catch_up.apply(0, at_once.weights, at_once.spans().data());
        if (catch_up.needed()) catch_up.apply(steps / 3 + 1, divided.weights, divided.spans().data());
        CAPTURE(static_cast<int>(type));
        CAPTURE(decay);
        CAPTURE(steps);
        CHECK(at_once == one_by_one);
        CHECK(divided == one_by_one);
      }
}

TEST_CASE("steps without a gradient do nothing under sgd and adagrad without decay, and something elsewhere") {
  for (const Type type : all_types)
    for (const double decay : {0.0, 0.1}) {
      job::Optimizer optimizer;
      optimizer.type = type;
      optimizer.weight_decay = decay;
      CHECK(CatchUp(optimizer, true).needed() == (decay > 0 || (type != Type::sgd && type != Type::adagrad)));
      CHECK(CatchUp(optimizer, false).needed() == (type != Type::sgd && type != Type::adagrad));
    }
}

TEST_CASE("what is forgotten need not be caught up with again") {
  job::Optimizer optimizer;
  optimizer.type = Type::momentum;
  std::mt19937 engine(2);
  State state = random_state(engine, optimizer);
  CatchUp catch_up(optimizer, true);
  catch_up.note(input_of(4));
  catch_up.apply(0, state.weights, state.spans().data());
  catch_up.forget();
  const State before = state;
  CHECK(catch_up.steps() == 0);
  catch_up.apply(0, state.weights, state.spans().data());
  CHECK(state == before);
  catch_up.note(input_of(5));
  catch_up.apply(0, state.weights, state.spans().data());
  CHECK_FALSE(state == before);
}
