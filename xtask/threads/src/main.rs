//! Has every scene played by threads of this machine.
//!
//! The threads are libc's: the sanitizer knows those, while std's own locks and counts, which are not
//! instrumented, look like races to it.

use std::ffi::c_void;
use std::ptr;

use kmem_threads::{SCENES, Scene, THREADS};

struct Part {
    scene: &'static Scene,
    number: usize,
}

extern "C" fn play(part: *mut c_void) -> *mut c_void {
    // SAFETY: `all_play` keeps the part until this thread has ended.
    let part: &Part = unsafe { &*part.cast() };
    (part.scene.play)(part.number);
    ptr::null_mut()
}

fn all_play(scene: &'static Scene) {
    let parts: [Part; THREADS] = std::array::from_fn(|number| Part { scene, number });
    let threads = parts.each_ref().map(|part| {
        let mut thread = 0;
        // SAFETY: `play` takes a part, which lives until the thread is joined below.
        let failed =
            unsafe { libc::pthread_create(&raw mut thread, ptr::null(), play, ptr::from_ref(part).cast_mut().cast()) };
        assert_eq!(failed, 0, "no thread");
        thread
    });
    for thread in threads {
        // SAFETY: it was created above and is joined once.
        assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
    }
}

fn main() {
    for scene in SCENES {
        all_play(scene);
        assert!((scene.well)(), "{}", scene.name);
        println!("test {} ... ok", scene.name);
    }
    println!("test result: ok. {} passed; 0 failed", SCENES.len());
}
