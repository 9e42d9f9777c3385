#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <csignal>
#include <cstring>
#include <functional>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "model/layout.hpp"
#include "store/checkpoint.hpp"
#include "store/model_file.hpp"
#include "store/tensors.hpp"

using namespace dtrain;
using namespace dtrain::store;

namespace {

/// A folder that is gone when the test is.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "dtrain-store-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Scratch() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

template <class Act>
std::pair<Kind, std::string> error_of(Act act) {
  try {
    act();
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {Kind::done, ""};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

/// Numbers that a careless copy would change: a NaN's payload, a negative zero, a subnormal.
Arena awkward(Index count, std::uint32_t salt) {
  Arena arena(count);
  for (Index k = 0; k < count; ++k)
    arena.data()[k] = std::bit_cast<float>(philox({salt, 1}, {static_cast<std::uint32_t>(k), 0, 0, 0})[0]);
  return arena;
}

OwnState own_state(Index weights, int moments, std::uint32_t salt) {
  OwnState own{awkward(weights, salt), {}};
  for (int k = 0; k < moments; ++k) own.moments.push_back(awkward(weights, salt + 1 + static_cast<std::uint32_t>(k)));
  return own;
}

State state_at(std::uint64_t step, Index weights = 37, int moments = 2) {
  State state;
  state.step = step;
  state.applied_rows = static_cast<Index>(step) * 128;
  state.clocks = {step, step + 1};
  state.updates = step;
  state.weights = awkward(weights, 7);
  for (int k = 0; k < moments; ++k) state.moments.push_back(awkward(weights, 8 + static_cast<std::uint32_t>(k)));
  state.facts = {{"hash", "ab12"}, {"seed", 18446744073709551615ull}, {"layout", {1, 2, 3}}};
  return state;
}

void check_same(const std::vector<Arena>& a, const std::vector<Arena>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t k = 0; k < a.size(); ++k) CHECK(same_bits(a[k].span(), b[k].span()));
}

void check_same(const State& a, const State& b) {
  CHECK(a.step == b.step);
  CHECK(a.applied_rows == b.applied_rows);
  CHECK(a.clocks == b.clocks);
  CHECK(a.updates == b.updates);
  CHECK(a.facts == b.facts);
  CHECK(a.policy == b.policy);
  CHECK(same_bits(a.weights.span(), b.weights.span()));
  check_same(a.moments, b.moments);
  REQUIRE(a.own.size() == b.own.size());
  for (std::size_t r = 0; r < a.own.size(); ++r) {
    CHECK(same_bits(a.own[r].weights.span(), b.own[r].weights.span()));
    check_same(a.own[r].moments, b.own[r].moments);
  }
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void flip_last_byte(const fs::path& path) {
  std::string bytes = read_file(path, Kind::internal);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file(path, bytes);
}

/// __FILE__ is as the compiler was given it: from the root of the build folder, two above this program.
fs::path corpus(const std::string& name) {
  const fs::path build = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  return (build / __FILE__).parent_path().parent_path() / "fuzz" / "corpus" / name;
}

job::Model two_layers() {
  job::Model model;
  job::Layer hidden;
  hidden.dense = 5;
  hidden.activation = job::Activation::leaky_relu;
  hidden.slope = 0.1;
  hidden.dropout = 0.25;
  hidden.init = job::Init::glorot;
  job::Layer last;
  last.dense = 3;
  last.bias = false;
  model.layers = {hidden, last};
  model.loss = job::Loss::softmax_cross_entropy;
  return model;
}

data::Encoding three_classes() {
  data::Encoding encoding;
  encoding.classes = {"red", "gr\xc3\xbcn", "\"blue\""};
  encoding.width = 4;
  encoding.shift = {0.1f};
  encoding.scale = {1.0f / 3};
  return encoding;
}

constexpr Index two_layers_count = 4 * 5 + 5 + 5 * 3;

/// A model file's description, changed, with the tensors as they were.
void rewrite_description(const fs::path& path, const std::function<void(Json&)>& change) {
  const TensorFile file = read_tensors(path, Kind::checkpoint);
  Json description = Json::parse(file.metadata.at("dtrain"));
  change(description);
  std::vector<NamedTensor> tensors;
  for (const auto& [name, entry] : file.tensors) tensors.push_back({name, entry.shape, entry.values});
  write_tensors(path, tensors, {{"dtrain", description.dump()}});
}

}  // namespace

TEST_CASE("tensors come back with their names, shapes, bits and metadata") {
  const Scratch scratch;
  const fs::path path = scratch.path() / "a.safetensors";
  const Arena a = awkward(12, 1), b = awkward(1, 2);
  write_tensors(path, {{"second", {3, 4}, a.span()}, {"a \"first\"", {}, b.span()}, {"none", {0, 7}, {}}},
                {{"k", "v"}, {"z", ""}});
  const TensorFile file = read_tensors(path, Kind::checkpoint);
  CHECK(file.metadata == std::map<std::string, std::string>{{"k", "v"}, {"z", ""}});
  REQUIRE(file.find("second") != nullptr);
  CHECK(file.find("second")->shape == std::vector<Index>{3, 4});
  CHECK(same_bits(file.find("second")->values, a.span()));
  CHECK(same_bits(file.find("a \"first\"")->values, b.span()));
  CHECK(file.find("none")->values.empty());
  CHECK(file.find("absent") == nullptr);
  CHECK(file.tensors[0].first == "second");
}

TEST_CASE("the numbers of a tensor file start at a multiple of eight") {
  for (std::size_t length = 1; length <= 9; ++length) {
    const std::string bytes = encode_tensors({{std::string(length, 'x'), {0}, {}}}, {});
    CHECK(bytes.size() % 8 == 0);
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), 8);
    CHECK(header + 8 == bytes.size());
  }
}

TEST_CASE("every tensor file of the corpus is read or refused as its name says") {
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(corpus("tensors"))) {
    const std::string name = entry.path().filename().string();
    CAPTURE(name);
    const Kind kind = error_of([&] { read_tensors(entry.path(), Kind::checkpoint); }).first;
    if (name.starts_with("good")) CHECK(kind == Kind::done);
    if (name.starts_with("bad")) CHECK(kind == Kind::checkpoint);
    ++seen;
  }
  CHECK(seen > 40);
}

TEST_CASE("every checkpoint of the corpus is read or refused as its name says") {
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(corpus("checkpoint"))) {
    const std::string name = entry.path().filename().string(), border = "\n---\n";
    CAPTURE(name);
    const std::string bytes = read_file(entry.path(), Kind::internal);
    const std::size_t at = bytes.find(border);
    const std::string tensors = at == std::string::npos ? "" : bytes.substr(at + border.size());
    const Kind kind = error_of([&] { decode_state(tensors, bytes.substr(0, at), "input"); }).first;
    if (name.starts_with("good")) CHECK(kind == Kind::done);
    if (name.starts_with("bad")) CHECK(kind == Kind::checkpoint);
    ++seen;
  }
  CHECK(seen > 50);
}

TEST_CASE("every model of the corpus is read or refused as its name says") {
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(corpus("model"))) {
    const std::string name = entry.path().filename().string();
    CAPTURE(name);
    const Kind kind = error_of([&] { load_model(entry.path()); }).first;
    if (name.starts_with("good")) CHECK(kind == Kind::done);
    if (name.starts_with("bad")) CHECK(kind == Kind::checkpoint);
    ++seen;
  }
  CHECK(seen > 5);
}

TEST_CASE("a tensor file that was cut anywhere is refused") {
  const Arena values = awkward(6, 3);
  const std::string bytes = encode_tensors({{"a", {2, 3}, values.span()}}, {{"k", "v"}});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK(error_of([&] { decode_tensors(bytes.substr(0, size), "f", Kind::data); }).first == Kind::data);
  }
  CHECK_NOTHROW(decode_tensors(bytes, "f", Kind::data));
}

TEST_CASE("what is wrong with a tensor file is told with its path") {
  const std::string bytes = encode_tensors({}, {}) + "1234";
  const auto [kind, text] = error_of([&] { decode_tensors(bytes, "dir/x.safetensors", Kind::checkpoint); });
  CHECK(text == "dir/x.safetensors: 4 bytes belong to no tensor");
}

TEST_CASE("a checkpoint comes back with the same bits") {
  const Scratch scratch;
  for (const int moments : {0, 1, 2}) {
    const State state = state_at(400, 37, moments);
    const fs::path folder = save(scratch.path(), state, 3);
    CHECK(folder == scratch.path() / "checkpoints" / "step-400");
    check_same(load(folder), state);
    check_same(load_newest(scratch.path()).value(), state);
  }
  CHECK(names_in(scratch.path() / "checkpoints") == std::vector<std::string>{"step-400"});
}

TEST_CASE("a checkpoint keeps what each worker has of its own, and what the policy must know") {
  const Scratch scratch;
  for (const int workers : {1, 3})
    for (const int moments : {0, 2}) {
      State state = state_at(7, 19, 1);
      for (int r = 0; r < workers; ++r)
        state.own.push_back(own_state(19, moments, 100 + 10 * static_cast<std::uint32_t>(r)));
      state.policy = {{"memory", {0.1, -1e300, 3}}, {"worklist", {1, 2}}, {"own_updates", {7, 6, 5}}};
      check_same(load(save(scratch.path(), state, 1)), state);
    }
}

TEST_CASE("DONE lists the sum of every other file as sha256sum does") {
  const Scratch scratch;
  const fs::path folder = save(scratch.path(), state_at(1), 1);
  std::string expected;
  for (const char* name : {"state.safetensors", "progress.json"})
    expected += sha256(bytes_of(read_file(folder / name, Kind::internal))) + "  " + name + "\n";
  CHECK(read_file(folder / "DONE", Kind::internal) == expected);
}

TEST_CASE("the newest checkpoints are kept, by number and not by name") {
  const Scratch scratch;
  for (const std::uint64_t step : {2u, 9u, 10u, 100u}) save(scratch.path(), state_at(step), 3);
  CHECK(names_in(scratch.path() / "checkpoints") == std::vector<std::string>{"step-10", "step-100", "step-9"});
  CHECK(load_newest(scratch.path())->step == 100);
}

TEST_CASE("the checkpoint just written is kept, even where later ones lie about") {
  const Scratch scratch;
  save(scratch.path(), state_at(100), 1);
  flip_last_byte(scratch.path() / "checkpoints" / "step-100" / "state.safetensors");
  save(scratch.path(), state_at(50), 1);
  std::vector<std::string> skipped;
  CHECK(load_newest(scratch.path(), &skipped)->step == 50);
}

TEST_CASE("a checkpoint with any byte changed, or a file missing, is skipped for the one before it") {
  for (const char* name : {"state.safetensors", "progress.json", "DONE"}) {
    for (const bool remove : {false, true}) {
      CAPTURE(name);
      const Scratch scratch;
      save(scratch.path(), state_at(1), 3);
      const fs::path newer = save(scratch.path(), state_at(2), 3);
      remove ? static_cast<void>(fs::remove(newer / name)) : flip_last_byte(newer / name);
      // The last byte of DONE ends its last name, that of the other two is covered by a sum.
      CHECK(error_of([&] { load(newer); }).first == Kind::checkpoint);
      std::vector<std::string> skipped;
      CHECK(load_newest(scratch.path(), &skipped)->step == 1);
      REQUIRE(skipped.size() == 1);
      CHECK(contains(skipped[0], "step-2"));
    }
  }
}

TEST_CASE("a run without a sound checkpoint has none to go on from") {
  const Scratch scratch;
  CHECK_FALSE(load_newest(scratch.path()));
  fs::create_directories(scratch.path() / "checkpoints" / "step-7");
  fs::create_directories(scratch.path() / "checkpoints" / "step-x");
  std::vector<std::string> skipped;
  CHECK_FALSE(load_newest(scratch.path(), &skipped));
  CHECK(skipped.size() == 1);
}

TEST_CASE("what a crash left half-written is never loaded, and is cleaned up by the next save") {
  const Scratch scratch;
  const fs::path checkpoints = scratch.path() / "checkpoints";
  const fs::path sound = save(scratch.path(), state_at(1), 3);
  fs::copy(sound, checkpoints / ".step-2.part");
  CHECK(load_newest(scratch.path())->step == 1);
  save(scratch.path(), state_at(3), 3);
  CHECK(names_in(checkpoints) == std::vector<std::string>{"step-1", "step-3"});
}

TEST_CASE("a crash while a step is replaced leaves the superseded checkpoint to load") {
  const Scratch scratch;
  const fs::path folder = save(scratch.path(), state_at(5), 1);
  fs::rename(folder, folder.string() + ".replaced");
  check_same(load_newest(scratch.path()).value(), state_at(5));
  save(scratch.path(), state_at(5), 1);
  CHECK(names_in(scratch.path() / "checkpoints") == std::vector<std::string>{"step-5"});
}

TEST_CASE("a disk that is full leaves earlier checkpoints alone and is an error of the environment") {
  const Scratch scratch;
  save(scratch.path(), state_at(1), 1);
  // The limit holds for a whole process, so another one meets it.
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{16384, 16384};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto [kind, text] = error_of([&] { save(scratch.path(), state_at(2, 100000), 1); });
    ::_exit(kind == Kind::environment && contains(text, "state.safetensors") ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(names_in(scratch.path() / "checkpoints") == std::vector<std::string>{"step-1"});
  check_same(load_newest(scratch.path()).value(), state_at(1));
}

TEST_CASE("the hash of weights is that of their little-endian bytes") {
  const std::vector<float> weights{1.0f, -2.5f};
  const std::string bytes("\x00\x00\x80\x3f\x00\x00\x20\xc0", 8);
  CHECK(weights_hash(weights) == sha256(bytes_of(bytes)));
}

TEST_CASE("a model comes back with its layers, its encoding and the same bits") {
  const Scratch scratch;
  const fs::path path = scratch.path() / "model.safetensors";
  const job::Model model = two_layers();
  const Arena weights = awkward(two_layers_count, 5);
  save_model(path, model, three_classes(), weights.span());
  const SavedModel saved = load_model(path);
  CHECK(same_bits(saved.weights.span(), weights.span()));
  REQUIRE(saved.model.layers.size() == 2);
  CHECK(saved.model.loss == model.loss);
  for (std::size_t k = 0; k < 2; ++k) {
    const job::Layer &a = saved.model.layers[k], &b = model.layers[k];
    CHECK(a.dense == b.dense);
    CHECK(a.activation == b.activation);
    CHECK(a.slope == b.slope);
    CHECK(a.dropout == b.dropout);
    CHECK(a.init == b.init);
    CHECK(a.bias == b.bias);
  }
  CHECK(saved.encoding.to_json() == three_classes().to_json());
}

TEST_CASE("tensors of a model are named and shaped as PyTorch has them, and transposed") {
  const Scratch scratch;
  const fs::path path = scratch.path() / "model.safetensors";
  Arena weights(two_layers_count);
  for (Index k = 0; k < two_layers_count; ++k) weights.data()[k] = static_cast<float>(k);
  save_model(path, two_layers(), three_classes(), weights.span());
  const TensorFile file = read_tensors(path, Kind::checkpoint);
  REQUIRE(file.find("layers.0.weight") != nullptr);
  CHECK(file.find("layers.0.weight")->shape == std::vector<Index>{5, 4});
  // out 3, in 2 lies at in * outputs + out = 13 in the flat vector.
  CHECK(file.find("layers.0.weight")->values[3 * 4 + 2] == 2 * 5 + 3);
  CHECK(file.find("layers.0.bias")->shape == std::vector<Index>{5});
  CHECK(file.find("layers.0.bias")->values[4] == 24);
  CHECK(file.find("layers.1.bias") == nullptr);
}

TEST_CASE("a model whose description does not fit its tensors is refused") {
  const Scratch scratch;
  const fs::path path = scratch.path() / "model.safetensors";
  const Arena weights = awkward(two_layers_count, 5);
  const std::vector<std::function<void(Json&)>> changes = {
      [](Json& d) { d["version"] = 2; },
      [](Json& d) { d.erase("model"); },
      [](Json& d) { d["model"]["layers"] = Json::array(); },
      [](Json& d) { d["model"]["layers"][0] = 3; },
      [](Json& d) { d["model"]["layers"][0]["dense"] = 0; },
      [](Json& d) { d["model"]["layers"][0]["dense"] = -5; },
      [](Json& d) { d["model"]["layers"][0]["dense"] = 6; },
      [](Json& d) { d["model"]["layers"][0]["dense"] = 2147483647; },
      [](Json& d) { d["model"]["layers"][0]["dense"] = 9223372036854775807; },
      [](Json& d) { d["model"]["layers"][0]["dropout"] = 1; },
      [](Json& d) { d["model"]["layers"][0]["activation"] = "swish"; },
      [](Json& d) { d["model"]["layers"][0]["bias"] = 1; },
      [](Json& d) { d["model"]["layers"][1]["bias"] = true; },
      [](Json& d) { d["model"]["layers"].erase(1); },
      [](Json& d) { d["model"]["loss"] = 7; },
      [](Json& d) { d["encoding"] = 7; },
      [](Json& d) { d["encoding"]["width"] = -4; },
      [](Json& d) { d["encoding"]["width"] = 3; },
      [](Json& d) { d = Json::array(); },
  };
  for (std::size_t k = 0; k < changes.size(); ++k) {
    CAPTURE(k);
    save_model(path, two_layers(), three_classes(), weights.span());
    CHECK_NOTHROW(load_model(path));
    rewrite_description(path, changes[k]);
    const auto [kind, text] = error_of([&] { load_model(path); });
    CHECK(kind == Kind::checkpoint);
    CHECK(contains(text, path.string()));
  }
}

TEST_CASE("a tensor file that dtrain did not write, or no file at all, is no model") {
  const Scratch scratch;
  const fs::path path = scratch.path() / "model.safetensors";
  CHECK(error_of([&] { load_model(path); }).first == Kind::checkpoint);
  write_tensors(path, {}, {{"format", "pt"}});
  CHECK(contains(error_of([&] { load_model(path); }).second, "not written by dtrain"));
}

TEST_CASE("a model with another shape or name of a tensor is refused, though the count is right") {
  const Scratch scratch;
  const fs::path path = scratch.path() / "model.safetensors";
  const Arena weights = awkward(two_layers_count, 5);
  for (const bool rename : {false, true}) {
    save_model(path, two_layers(), three_classes(), weights.span());
    const TensorFile file = read_tensors(path, Kind::checkpoint);
    std::vector<NamedTensor> tensors;
    for (const auto& [name, entry] : file.tensors) tensors.push_back({name, entry.shape, entry.values});
    if (rename)
      tensors[0].name = "layers.9.weight";
    else
      std::swap(tensors[0].shape[0], tensors[0].shape[1]);
    write_tensors(path, tensors, {{"dtrain", file.metadata.at("dtrain")}});
    const auto [kind, text] = error_of([&] { load_model(path); });
    CHECK(kind == Kind::checkpoint);
    CHECK(contains(text, "layers.0.weight"));
  }
}
