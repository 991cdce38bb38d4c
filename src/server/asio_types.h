#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

// Asio on epoll. Its io_uring backend (BOOST_ASIO_HAS_IO_URING, BOOST_ASIO_DISABLE_EPOLL) was
// measured with this server, 50 clients on two cores, sends through the ring or not: 0.6-0.85 times
// as many requests at -P 1, 0.84-1.04 at -P 16, 0.92-1.0 at -P 64. Replies are sent once per pass
// here, so there are few system calls left to save, and containers often forbid io_uring.
//
// The types with the executor of an io_context spelled out: the default, any_io_executor, would
// cost a virtual call and a reference count at each operation.
namespace varve::server {

namespace asio = boost::asio;

using LoopExecutor = asio::io_context::executor_type;
template <typename T>
using Awaitable = asio::awaitable<T, LoopExecutor>;
using UseAwaitable = asio::use_awaitable_t<LoopExecutor>;
// Errors come back as values: a lost peer is no exception.
using Token = asio::as_tuple_t<UseAwaitable>;
inline constexpr Token kToken{UseAwaitable()};

// TCP and Unix sockets alike.
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, LoopExecutor>;
using Descriptor = asio::posix::basic_stream_descriptor<LoopExecutor>;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, LoopExecutor>;

}  // namespace varve::server
