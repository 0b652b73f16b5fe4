// C11 threads as POSIX threads, for ThreadSanitizer alone: librdkafka makes its threads with thrd_create, which the sanitizer
// of g++ 12 does not know, and a thread that it does not know crashes it. The same holds for mutexes, conditions and once: unseen,
// every hand-over between librdkafka's threads and ours would look like a race. In glibc the C11 types have the
// size and layout of the POSIX ones (their functions are written in terms of these).
#include <cerrno>
#include <memory>
#include <pthread.h>
#include <threads.h>

namespace {

struct Start {
    thrd_start_t function;
    void* argument;
};

void* run(void* raw)
{
    const std::unique_ptr<Start> start(static_cast<Start*>(raw));
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the result of a thrd_start_t is an int
    return reinterpret_cast<void*>(static_cast<intptr_t>(start->function(start->argument)));
}

int answer(int error)
{
    return error == 0           ? thrd_success
           : error == ENOMEM    ? thrd_nomem
           : error == ETIMEDOUT ? thrd_timedout
           : error == EBUSY     ? thrd_busy
                                : thrd_error;
}

static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t) && sizeof(cnd_t) >= sizeof(pthread_cond_t) &&
              sizeof(once_flag) == sizeof(pthread_once_t));

pthread_mutex_t* posix(mtx_t* mutex)
{
    return reinterpret_cast<pthread_mutex_t*>(mutex);
}

pthread_cond_t* posix(cnd_t* condition)
{
    return reinterpret_cast<pthread_cond_t*>(condition);
}

} // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument)
{
    auto start = std::make_unique<Start>(Start{function, argument});
    const int error = pthread_create(thread, nullptr, run, start.get());
    if (error == 0) {
        static_cast<void>(start.release()); // the thread's own
    }
    return answer(error);
}

int thrd_join(thrd_t thread, int* result)
{
    void* returned = nullptr;
    const int error = pthread_join(thread, &returned);
    if (result != nullptr) {
        *result = static_cast<int>(reinterpret_cast<intptr_t>(returned));
    }
    return answer(error);
}

void call_once(once_flag* flag, void (*function)())
{
    pthread_once(reinterpret_cast<pthread_once_t*>(flag), function);
}

int mtx_init(mtx_t* mutex, int type)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if ((type & mtx_recursive) != 0) {
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    }
    const int error = pthread_mutex_init(posix(mutex), &attributes);
    pthread_mutexattr_destroy(&attributes);
    return answer(error);
}

int mtx_lock(mtx_t* mutex)
{
    return answer(pthread_mutex_lock(posix(mutex)));
}

int mtx_unlock(mtx_t* mutex)
{
    return answer(pthread_mutex_unlock(posix(mutex)));
}

void mtx_destroy(mtx_t* mutex)
{
    pthread_mutex_destroy(posix(mutex));
}

int cnd_init(cnd_t* condition)
{
    return answer(pthread_cond_init(posix(condition), nullptr));
}

int cnd_signal(cnd_t* condition)
{
    return answer(pthread_cond_signal(posix(condition)));
}

int cnd_broadcast(cnd_t* condition)
{
    return answer(pthread_cond_broadcast(posix(condition)));
}

int cnd_wait(cnd_t* condition, mtx_t* mutex)
{
    return answer(pthread_cond_wait(posix(condition), posix(mutex)));
}

int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* until)
{
    return answer(pthread_cond_timedwait(posix(condition), posix(mutex), until));
}

void cnd_destroy(cnd_t* condition)
{
    pthread_cond_destroy(posix(condition));
}

} // extern "C"
