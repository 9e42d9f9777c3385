#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "wire_support.hpp"

using namespace dtrain;
using namespace dtrain::wire;
using namespace dtrain::wire::test;

namespace {

constexpr Index floats = 5000;

Arena filled(SharedMemory& memory, Index count = floats) {
  Arena arena = memory.arena(count);
  for (Index k = 0; k < count; ++k) arena.data()[k] = static_cast<float>(k);
  return arena;
}

Header push_of(std::size_t count) {
  Header header = header_of(Type::push);
  header.count = count;
  return header;
}

/// A server and a worker of one process, each with memory of its own, as two processes have.
struct Local {
  explicit Local(bool server_shares = true) {
    worker.connect(server.bind("ipc://" + (scratch.path / "s").string()));
    worker.share(workers);
    if (server_shares) server.share(servers);
    worker.send(self_of(Role::worker), header_of(Type::pull), std::string_view());
    next(server);
  }
  bool send(std::span<const float> values) {
    return worker.send_floats(self_of(Role::worker), push_of(values.size()), values, in_flight);
  }
  /// Why the next message is refused.
  std::string refusal() {
    std::string why;
    until({&server.get()}, [&] {
      CHECK_FALSE(server.receive(nonce, [&](const std::string& reason) { why = reason; }));
      return !why.empty();
    });
    return why;
  }
  /// A header about memory that was not sent by send_floats().
  std::string refusal_of(const SharedMemory::Location& place, std::size_t count) {
    Header header = push_of(count);
    header.block = place.block, header.place = place.place, header.at = place.at;
    REQUIRE(worker.send(self_of(Role::worker), header, std::string_view()));
    return refusal();
  }
  Scratch scratch;
  Context context;
  SharedMemory workers, servers;
  InFlight in_flight;
  Socket server{context, Socket::Pattern::router, ""}, worker{context, Socket::Pattern::dealer, "w0"};
};

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::uint64_t place_of(pid_t process, int descriptor) {
  return static_cast<std::uint64_t>(process) << 32 | static_cast<std::uint32_t>(descriptor);
}

/// A file that begins as a block does, with a number of its own.
int block_like_file(std::uint64_t number, unsigned flags, int seals) {
  const int file = ::memfd_create("test", MFD_CLOEXEC | flags);
  REQUIRE(file >= 0);
  REQUIRE(::ftruncate(file, 3 * 4096) == 0);
  REQUIRE(::pwrite(file, &number, sizeof number, 0) == sizeof number);
  if (seals != 0) REQUIRE(::fcntl(file, F_ADD_SEALS, seals) == 0);
  return file;
}

float sum_of(std::span<const float> values) {
  float sum = 0;
  for (const float value : values) sum += value;
  return sum;
}

}  // namespace

TEST_CASE("floats of an arena are read where they lie, in the order in which they were sent") {
  Local local;
  const Arena arena = filled(local.workers);
  const auto all = arena.span();
  for (const std::size_t first : {0u, 1u, 1000u, 4999u}) REQUIRE(local.send(all.subspan(first)));
  for (const std::size_t first : {0u, 1u, 1000u, 4999u}) {
    const Message message = next(local.server);
    CHECK(message.header.count == floats - first);
    CHECK(message.payload.size() == 0);
    REQUIRE(message.size() == 4 * (floats - first));
    CHECK(std::memcmp(message.data(), all.data() + first, message.size()) == 0);
    CHECK(message.data() != all.data() + first);
  }
}

TEST_CASE("floats in shared memory cost the wire their headers only, and count as payload on both sides") {
  Local local;
  const Arena arena = filled(local.workers);
  const Counters before = local.worker.counters();
  REQUIRE(local.send(arena.span()));
  next(local.server);
  CHECK(local.worker.counters().wire_sent - before.wire_sent == header_bytes);
  CHECK(local.worker.counters().payload_sent - before.payload_sent == 4 * floats);
  CHECK(local.server.counters().wire_received == 2 * header_bytes);
  CHECK(local.server.counters().payload_received == 4 * floats);
}

TEST_CASE("floats of the heap, and none at all, go over the same sockets in the message") {
  Local local;
  const std::vector<float> heap(300, 2.5f);
  const Arena arena = filled(local.workers);
  REQUIRE(local.send(heap));
  REQUIRE(local.send(arena.span().first(0)));
  const Message first = next(local.server);
  CHECK_FALSE(first.reading);
  REQUIRE(first.payload.size() == 1200);
  CHECK(std::memcmp(first.data(), heap.data(), 1200) == 0);
  const Message second = next(local.server);
  CHECK_FALSE(second.reading);
  CHECK(second.size() == 0);
}

TEST_CASE("a block is busy until the last of its readers has let go") {
  Local local;
  const Arena arena = filled(local.workers), other = filled(local.workers);
  InFlight others;
  REQUIRE(local.send(arena.span().first(10)));
  REQUIRE(local.send(arena.span().subspan(10)));
  REQUIRE(local.worker.send_floats(self_of(Role::worker), push_of(floats), other.span(), others));
  CHECK_FALSE(local.in_flight.idle());
  std::optional<Message> first = next(local.server), second = next(local.server), third = next(local.server);
  first.reset();
  CHECK_FALSE(local.in_flight.idle());
  Message taken = std::move(*second);
  second.reset();
  CHECK_FALSE(local.in_flight.idle());
  taken = Message();
  CHECK(local.in_flight.idle());
  CHECK_FALSE(others.idle());
  third.reset();
  CHECK(others.idle());
}

TEST_CASE("what the owner writes when its block is free is what the next message shows, at the same address") {
  Local local;
  Arena arena = filled(local.workers);
  const void* where = nullptr;
  for (const float value : {1.f, 2.f, 3.f}) {
    REQUIRE(local.in_flight.idle());
    std::fill_n(arena.data(), floats, value);
    REQUIRE(local.send(arena.span()));
    const Message message = next(local.server);
    CHECK(sum_of(message.reading.values()) == value * floats);
    if (where != nullptr) CHECK(message.data() == where);
    where = message.data();
  }
}

TEST_CASE("floats for a peer that is not there leave their block free") {
  Local local;
  const Arena arena = filled(local.servers);
  InFlight in_flight;
  CHECK_FALSE(local.server.send_floats(self_of(Role::server), push_of(floats), arena.span(), in_flight, "nobody"));
  CHECK(in_flight.idle());
}

TEST_CASE("only what lies wholly in a living arena of this instance is located") {
  SharedMemory memory, strange;
  const Arena first = filled(memory), second = filled(memory, 1);
  const Arena theirs = filled(strange);
  const std::vector<float> heap(10);
  CHECK(memory.locate(first.span()).value().at == 0);
  CHECK(memory.locate(first.span().subspan(17, 3)).value().at == 17);
  CHECK(memory.locate(first.span()).value().block != memory.locate(second.span()).value().block);
  CHECK_FALSE(memory.locate({first.data(), floats + 1}));
  CHECK_FALSE(memory.locate({first.data() + floats, 1}));
  CHECK_FALSE(memory.locate({first.data() - 1, 2}));
  CHECK_FALSE(memory.locate(heap));
  CHECK_FALSE(memory.locate(theirs.span()));
  const float* gone = nullptr;
  {
    const Arena dying = filled(memory);
    gone = dying.data();
    CHECK(memory.locate({gone, 1}));
  }
  CHECK_FALSE(memory.locate({gone, 1}));
}

TEST_CASE("arenas are zeroed, aligned, may be empty, and outlive the instance they came from") {
  auto memory = std::make_unique<SharedMemory>();
  Arena arena = memory->arena(floats), none = memory->arena(0);
  memory.reset();
  CHECK(none.size() == 0);
  CHECK(std::all_of(arena.data(), arena.data() + floats, [](float value) { return value == 0; }));
  CHECK(reinterpret_cast<std::uintptr_t>(arena.data()) % 64 == 0);
  arena.data()[floats - 1] = 1;
}

TEST_CASE("memory that is not to be had is an error of the environment that says what to do") {
  SharedMemory memory;
  // More than a file can be: what merely exceeds this machine's memory would first be taken, page by page.
  const std::string why = thrown([&] { memory.arena(Index{1} << 61); });
  CHECK(says(why, "shared memory"));
  CHECK(says(why, "topology.transport: ipc"));
}

TEST_CASE("a header about a block that is not there, or is another, is refused with the reason") {
  Local local;
  const Arena arena = filled(local.workers);
  const SharedMemory::Location real = local.workers.locate(arena.span()).value();
  const auto with = [&](auto change) {
    SharedMemory::Location forged = real;
    change(forged);
    return forged;
  };
  CHECK(says(local.refusal_of(with([](auto& l) { l.block ^= 2; }), floats), "is another block"));
  CHECK(says(local.refusal_of(with([](auto& l) { l.place = place_of(0x7ffffff0, 3); }), floats), "cannot be opened"));
  CHECK(
      says(local.refusal_of(with([](auto& l) { l.place = place_of(::getpid(), 9999); }), floats), "cannot be opened"));
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  CHECK(
      says(local.refusal_of(with([&](auto& l) { l.place = place_of(::getpid(), null); }), floats), "no shared memory"));
  ::close(null);
  CHECK(local.server.refused() == 4);
  REQUIRE(local.send(arena.span()));
  CHECK(next(local.server).size() == 4 * floats);
}

TEST_CASE("floats beyond the end of a block are refused, also once the block is known") {
  Local local;
  const Arena arena = filled(local.workers);
  SharedMemory::Location real = local.workers.locate(arena.span()).value();
  const std::string beyond = "are beyond a block of 5000";
  CHECK(says(local.refusal_of(real, floats + 1), beyond));
  REQUIRE(local.send(arena.span()));
  next(local.server);
  CHECK(local.in_flight.idle());
  for (const std::uint64_t at : {std::uint64_t{1}, std::uint64_t{floats + 1}, std::uint64_t{1} << 62}) {
    real.at = at;
    CHECK(says(local.refusal_of(real, floats), beyond));
  }
  real.at = ~std::uint64_t{0};
  CHECK(says(local.refusal_of(real, floats), "no block is that long"));
  CHECK(local.in_flight.idle());
}

TEST_CASE("a file that could shrink under its reader, or has no front page, is refused") {
  Local local;
  constexpr std::uint64_t number = 77;
  const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  for (const int seals : {0, F_SEAL_GROW | F_SEAL_SEAL, F_SEAL_SHRINK | F_SEAL_GROW}) {
    const int file = block_like_file(number, MFD_ALLOW_SEALING, seals);
    CHECK(says(local.refusal_of({number, place_of(::getpid(), file), 0}, 10), "no shared memory"));
    ::close(file);
  }
  const int unsealable = block_like_file(number, 0, 0);
  CHECK(says(local.refusal_of({number, place_of(::getpid(), unsealable), 0}, 10), "no shared memory"));
  ::close(unsealable);
  const int small = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE(::ftruncate(small, 4095) == 0);
  REQUIRE(::fcntl(small, F_ADD_SEALS, all) == 0);
  CHECK(says(local.refusal_of({number, place_of(::getpid(), small), 0}, 10), "no shared memory"));
  ::close(small);
}

TEST_CASE("a socket that does not share refuses floats in shared memory, and takes others") {
  Local local(false);
  const Arena arena = filled(local.workers);
  REQUIRE(local.send(arena.span()));
  CHECK(says(local.refusal(), "this connection has none"));
  const std::vector<float> heap(10, 1);
  REQUIRE(local.send(heap));
  CHECK(next(local.server).size() == 40);
}

TEST_CASE("a message about shared memory that is forwarded carries the floats, and frees the block") {
  Local local;
  const Arena arena = filled(local.workers);
  REQUIRE(local.send(arena.span()));
  Message message = next(local.server);
  Context context;
  Socket on{context, Socket::Pattern::router, ""}, back{context, Socket::Pattern::dealer, "c"};
  back.connect(on.bind(loopback));
  back.send(self_of(Role::coordinator), header_of(Type::pull), std::string_view());
  next(on);
  REQUIRE(on.forward(self_of(Role::server, 1), std::move(message), "c"));
  message = Message();
  CHECK(local.in_flight.idle());
  const Message forwarded = next(back);
  CHECK(forwarded.header.block == 0);
  CHECK_FALSE(forwarded.reading);
  REQUIRE(forwarded.payload.size() == 4 * floats);
  CHECK(std::memcmp(forwarded.data(), arena.data(), 4 * floats) == 0);
}

TEST_CASE("another process reads the same memory, writes none of it, and answers from its own") {
  const Scratch scratch;
  const std::string endpoint = "ipc://" + (scratch.path / "s").string();
  const pid_t child = ::fork();
  if (child == 0) {
    // Doubles what comes, in memory of its own, until something comes without floats.
    Context context;
    SharedMemory memory;
    Arena answer = memory.arena(floats);
    InFlight in_flight;
    Socket socket{context, Socket::Pattern::dealer, "w0"};
    socket.share(memory);
    socket.connect(endpoint);
    socket.send(self_of(Role::worker), header_of(Type::pull), std::string_view());
    for (;;) {
      const Message message = next(socket);
      if (!message.reading) ::_exit(message.payload.size() == 0 ? 0 : 1);
      becomes_idle(in_flight);
      for (Index k = 0; k < floats; ++k) answer.data()[k] = 2 * message.reading.values()[static_cast<std::size_t>(k)];
      socket.send_floats(self_of(Role::worker), push_of(floats), answer.span(), in_flight);
    }
  }
  Context context;
  SharedMemory memory;
  InFlight in_flight;
  Arena arena = memory.arena(floats);
  Socket socket{context, Socket::Pattern::router, ""};
  socket.share(memory);
  socket.bind(endpoint);
  next(socket);
  for (const float value : {1.f, 3.f, 5.f}) {
    std::fill_n(arena.data(), floats, value);
    REQUIRE(socket.send_floats(self_of(Role::server), push_of(floats), arena.span(), in_flight, "w0"));
    const Message answer = next(socket);
    CHECK(sum_of(answer.reading.values()) == 2 * value * floats);
    REQUIRE(becomes_idle(in_flight));
  }
  CHECK(socket.counters().wire_sent == 3 * header_bytes);
  CHECK(socket.counters().wire_received == 4 * header_bytes);
  socket.send(self_of(Role::server), header_of(Type::stop), std::string_view(), "w0");
  int status = -1;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
